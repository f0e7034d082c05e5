"""`mhff compile`: make a program of a model."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic.fields import FieldInfo

from mhff.engines import engine_names
from mhff.errors import MHFFError, listing
from mhff.mixes import Mix, make_mix
from mhff.options import CompileOptions, Help

if TYPE_CHECKING:
    from mhff.engines import Target
    from mhff.heads import Heads
    from mhff.options import Form
    from mhff_deploy.artefact.content import Manifest

KINDS: dict[Any, Any] = {float | None: float, tuple[Mix, ...]: list[str]}
"""What the command line takes for a type of field; a word for any other."""


def with_compile_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for each field of `CompileOptions`, in place of `**given`."""
    own = inspect.signature(command, eval_str=True)
    kept = [parameter for parameter in own.parameters.values() if parameter.name != "given"]
    options = [_parameter(*field) for field in CompileOptions.model_fields.items()]
    command.__signature__ = own.replace(parameters=kept + options)  # type: ignore[attr-defined]
    return command


def _parameter(name: str, field: FieldInfo) -> inspect.Parameter:
    """A field as an option: a number, a word or several words; None if it has no default."""
    (about,) = (entry for entry in field.metadata if isinstance(entry, Help))
    kind: Any = KINDS.get(field.annotation, str)
    default = str(field.default) if field.default else None
    return inspect.Parameter(
        about.name or name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[kind | None, typer.Option(help=about.text)],
    )


def _options(given: dict[str, Any]) -> dict[str, Any]:
    """The options given on the command line, by field of `CompileOptions`."""
    names = {
        about.name: name
        for name, field in CompileOptions.model_fields.items()
        for about in field.metadata
        if isinstance(about, Help) and about.name
    }
    return {names.get(name, name): value for name, value in given.items()}


@with_compile_options
def compile_command(
    model: Annotated[str, typer.Argument(help="Model file, or mini.")],
    output: Annotated[str, typer.Option("--output", "-o", help="File to write.")],
    target: Annotated[str, typer.Option(help=f"{listing(engine_names())}.")],
    **given: Any,
) -> None:
    """Compile a model for an engine, and check the result against the model."""
    import time

    from rich.console import Console

    from mhff.engines import folder_beside, target_of
    from mhff.filekinds import read_source
    from mhff.files import check_output, write_atomically
    from mhff.modelfile import from_bytes
    from mhff_deploy.compiling.build import build

    start = time.monotonic()
    engine_target = target_of(target)
    engine_target.check_output(output)
    file = read_source(model)
    check_output(output, [file.path])
    loaded = from_bytes(file.content, file.name)
    asked = CompileOptions.model_validate(_options(given))
    options = asked.but(
        head=_chosen(loaded.heads, asked),
        mix=[_complete(loaded.heads, mix) for mix in asked.mix],
        form=_form(engine_target, target, asked.form),
    )
    engine_target.check_options(options)
    console = Console(stderr=True)
    with console.status("") as status:

        def say(step: str) -> None:
            status.update(f"{step} ({time.monotonic() - start:.0f} s so far)")

        artefact, manifest = build(loaded, options, target, say)
    content = engine_target.wrap(artefact)
    write_atomically(output, content)
    beside = engine_target.beside(artefact)
    for name, other in beside.items():
        write_atomically(folder_beside(output) / name, other)
    for line in _report(manifest):
        typer.echo(line)
    seconds = time.monotonic() - start
    size = f"{len(content) / 1e6:.1f} MB"
    written = f"{output} and {folder_beside(output)}" if beside else output
    typer.echo(f"wrote {written}: {target}, {manifest.form}, {size}, {seconds:.0f} s")


def _chosen(heads: Heads, asked: CompileOptions) -> str:
    """The default head of the program: the head or mix that is named, or the only head."""
    if asked.head in [mix.name for mix in asked.mix]:
        return str(asked.head)
    if asked.head is not None:
        return heads.complete(asked.head)
    if len(heads) > 1:
        raise MHFFError(
            f"no head given: this model has the heads {listing(heads.names)}; choose one with "
            "--head"
        )
    return heads.names[0]


def _complete(heads: Heads, mix: Mix) -> Mix:
    """A mix with the full names of its heads."""
    terms = [(heads.complete(beginning), weight) for beginning, weight in mix.weights.items()]
    return make_mix(mix.name, terms)


def _form(target: Target, name: str, form: Form | None) -> Form:
    """The requested form, or the target's default."""
    if form is None:
        return target.forms[0]
    if form not in target.forms:
        raise MHFFError(
            f"target '{name}' does not take the form '{form}': choose one of "
            f"{listing(target.forms)}"
        )
    return form


def _report(manifest: Manifest) -> list[str]:
    """A few lines about the program."""
    can = manifest.capabilities
    errors = manifest.largest_errors
    tables = manifest.tables
    how_exact = "radial networks kept"
    if tables.n_intervals:
        made_later = tables.are_inputs and not tables.stored
        whose = f" for {listing(tables.elements)}, others are made as needed" if made_later else ""
        how_exact = (
            f"tables of {tables.n_intervals} intervals{whose}: forces on atoms to "
            f"{tables.measured:.1e} eV/A, asked {tables.asked:g}"
        )
    return [
        f"head {can.default_head} of {listing([*can.heads.names, *can.mixes])}; "
        f"elements {listing(can.elements)}; {can.precision} on {can.device}",
        f"{how_exact}; {_kernels(manifest)}",
        f"largest errors against the eager float64 model: {errors['node_energies']:.1e} eV per "
        f"atom, {errors['forces']:.1e} eV/A in forces on atoms, relative to the largest gradient",
    ]


def _kernels(manifest: Manifest) -> str:
    """The implementation of the heavy operations, in words."""
    from mhff.options import InstructionSet

    isa = manifest.options.isa
    if manifest.kernels:
        return f"kernels for {'this processor' if isa is InstructionSet.NATIVE else isa}"
    if manifest.tables.n_intervals:  # without a library: in Triton
        return f"kernels for {manifest.processor}"
    return "heavy parts in plain torch"
