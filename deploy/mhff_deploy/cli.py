"""`mhff compile`: make a program of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mhff.engines import Target
    from mhff.heads import Heads
    from mhff.options import Form
    from mhff_deploy.artefact.content import Manifest


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
    dtype: Annotated[
        str, typer.Option(help="float32 for dynamics, float64 for optimisation and phonons.")
    ] = "float32",
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

    from mhff.engines import target_of
    from mhff.filekinds import read_source
    from mhff.files import check_output, write_atomically
    from mhff.modelfile import from_bytes
    from mhff.options import CompileOptions
    from mhff_deploy.compiling.build import build

    start = time.monotonic()
    engine_target = target_of(target)
    engine_target.check_output(output)
    file = read_source(model)
    check_output(output, [file.path])
    loaded = from_bytes(file.content, file.name)
    options = CompileOptions.model_validate(
        {
            "head": _chosen(loaded.heads, head),
            "elements": _symbols(elements),
            "device": device,
            "precision": dtype,
            "form": _form(engine_target, target, form),
            "table_error": table_error,
            "isa": isa,
            "charge": charge,
            "spin": spin,
        }
    )
    console = Console(stderr=True)
    with console.status("") as status:

        def say(step: str) -> None:
            status.update(f"{step} ({time.monotonic() - start:.0f} s so far)")

        artefact, manifest = build(loaded, options, target, say)
    content = engine_target.wrap(artefact)
    write_atomically(output, content)
    for line in _report(manifest, loaded.heads):
        typer.echo(line)
    seconds = time.monotonic() - start
    size = f"{len(content) / 1e6:.1f} MB"
    typer.echo(f"wrote {output}: {target}, {manifest.form}, {size}, {seconds:.0f} s")


def _chosen(heads: Heads, beginning: str | None) -> str:
    """The default head of the program: the one that is named, or the only one."""
    from mhff.errors import MHFFError, listing

    if beginning is not None:
        return heads.complete(beginning)
    if len(heads) > 1:
        raise MHFFError(
            f"no head given: this model has the heads {listing(heads.names)}; choose one with "
            "--head"
        )
    return heads.names[0]


def _symbols(elements: str | None) -> tuple[str, ...] | None:
    if elements is None:
        return None
    return tuple(symbol.strip() for symbol in elements.split(",") if symbol.strip())


def _form(target: Target, name: str, form: str | None) -> Form:
    """The form that is asked for, or the target's default."""
    from mhff.errors import MHFFError, listing
    from mhff.options import Form, parse_choice

    if form is None:
        return target.forms[0]
    chosen = parse_choice(Form, form, "form")
    if chosen not in target.forms:
        raise MHFFError(
            f"target '{name}' does not take the form '{form}': choose one of "
            f"{listing(target.forms)}"
        )
    return chosen


def _report(manifest: Manifest, heads: Heads) -> list[str]:
    """What was made, in a few lines."""
    from mhff.errors import listing

    can, errors, tables = manifest.capabilities, manifest.largest_errors, manifest.tables
    how_exact = "radial networks kept"
    if tables.n_intervals:
        how_exact = (
            f"tables of {tables.n_intervals} intervals: forces to {tables.measured:.1e} eV/A, "
            "asked "
            f"{tables.asked:g}"
        )
    return [
        f"head {can.default_head} of {listing(heads.names)}; elements {listing(can.elements)}; "
        f"{can.precision} on {can.device}",
        f"{how_exact}; {_kernels(manifest)}",
        f"largest errors against the eager float64 model: {errors['node_energies']:.1e} eV per "
        f"atom, {errors['edge_gradients']:.1e} eV/A, relative to the largest gradient",
    ]


def _kernels(manifest: Manifest) -> str:
    """What runs the heavy parts."""
    from mhff.options import InstructionSet

    isa = manifest.options.isa
    if manifest.kernels:
        return f"kernels for {'this processor' if isa is InstructionSet.NATIVE else isa}"
    if manifest.tables.n_intervals:  # without a library: in Triton
        return f"kernels for {manifest.processor}"
    return "heavy parts in plain torch"
