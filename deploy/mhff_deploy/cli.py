"""`mhff compile`: make a program of a model."""

from __future__ import annotations

from typing import Annotated

import typer


def compile_command(
    model: Annotated[str, typer.Argument(help="Model file, or mini.")],
    output: Annotated[str, typer.Option("--output", "-o", help="File to write.")],
    target: Annotated[str, typer.Option(help="lammps, openmm, aoti or torchscript.")],
    head: Annotated[
        str | None, typer.Option(help="Default head; the beginning of its name is enough.")
    ] = None,
    elements: Annotated[
        str | None, typer.Option(help="Keep only these elements, as Mg,O,H.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    dtype: Annotated[str, typer.Option(help="float32 (MD) or float64.")] = "float32",
    charge: Annotated[
        float | None, typer.Option(help="Total charge in LAMMPS runs, for models that take one.")
    ] = None,
    spin: Annotated[
        float | None,
        typer.Option(help="Spin multiplicity 2S+1 in LAMMPS runs, for models that take one."),
    ] = None,
    table_error: Annotated[
        float | None,
        typer.Option(
            help="Error of forces that tables may make, eV/A; 0 keeps the radial networks."
        ),
    ] = None,
    isa: Annotated[
        str, typer.Option(help="native, or x86-64-v3 for any processor with AVX2.")
    ] = "native",
    form: Annotated[
        str | None, typer.Option(help="Form of the program: aoti (faster) or torchscript.")
    ] = None,
) -> None:
    """Compile a model for LAMMPS, OpenMM or ASE, and check the result against the model."""
    import time

    from rich.console import Console

    from mhff.errors import MHFFError
    from mhff.files import check_output, write_atomically
    from mhff.modelfile import load, model_path
    from mhff_deploy.compiling.build import build, choose_form
    from mhff_deploy.compiling.targets import find_target

    console = Console(stderr=True)
    start = time.monotonic()
    found = find_target(target)
    found.check_output(output)
    check_output(output, [model_path(model)])
    choose_form(found, form)
    loaded = load(model)
    chosen = loaded.heads.complete(head) if head is not None else None
    if chosen is None and len(loaded.heads) == 1:
        chosen = loaded.heads.names[0]
    if chosen is None:
        raise MHFFError(
            f"no head given: this model has the heads {', '.join(loaded.heads.names)}; choose one "
            "with --head"
        )
    symbols = (
        [symbol.strip() for symbol in elements.split(",") if symbol.strip()]
        if elements is not None
        else None
    )
    with console.status("") as status:

        def progress(step: str) -> None:
            status.update(f"{step} ({time.monotonic() - start:.0f} s so far)")

        content, manifest = build(
            loaded,
            found,
            chosen,
            symbols,
            device,
            dtype,
            form,
            charge,
            spin,
            table_error,
            isa,
            progress,
        )
    write_atomically(output, content)
    errors = manifest.largest_errors
    typer.echo(
        f"head {chosen} of {', '.join(loaded.heads.names)}; elements "
        f"{', '.join(manifest.elements)}; "
        f"{manifest.dtype} on {device}"
    )
    tables = manifest.tables
    heavy = "heavy parts in plain torch"
    if manifest.kernels:
        heavy = f"kernels for {'this processor' if isa == 'native' else isa}"
    elif tables["intervals"]:  # without a library: in Triton
        heavy = f"kernels for {manifest.processor}"
    if tables["intervals"]:
        typer.echo(
            f"tables of {tables['intervals']:.0f} intervals: forces to {tables['measured']:.1e} "
            "eV/A, "
            f"asked {tables['asked']:g}; {heavy}"
        )
    else:
        typer.echo(f"radial networks kept; {heavy}")
    typer.echo(
        f"largest errors against the eager float64 model: {errors['node_energies']:.1e} eV per "
        "atom, "
        f"{errors['edge_gradients']:.1e} eV/A, relative to the largest gradient"
    )
    typer.echo(
        f"wrote {output}: {target}, {manifest.form}, {len(content) / 1e6:.1f} MB, "
        f"{time.monotonic() - start:.0f} s"
    )
