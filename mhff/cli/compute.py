"""`mhff compute`: energies, forces and stresses of many structures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mhff.errors import MHFFError, listing, located, shortened

if TYPE_CHECKING:
    from mhff.capabilities import Capabilities
    from mhff.many.parts import PartJob

ENDINGS = (".extxyz", ".xyz")


def compute(
    model: Annotated[str, typer.Argument(help="Model file, mini, or a compiled program.")],
    structures: Annotated[
        list[Path],
        typer.Argument(help="Structures: files, folders and patterns; any ASE format."),
    ],
    output: Annotated[
        Path,
        typer.Option("-o", help="Extended XYZ to write; a run that is killed goes on in it."),
    ],
    head: Annotated[
        list[str] | None,
        typer.Option(
            "--head",
            help="Head; a beginning of its name is enough. Repeated: results of each head, as "
            "HEAD_energy, HEAD_forces, HEAD_stress.  [default: each structure's mhff_head]",
        ),
    ] = None,
    all_heads: Annotated[bool, typer.Option("--all-heads", help="Results of every head.")] = False,
    properties: Annotated[
        str, typer.Option(help="What to write: energy, energies, forces, stress.")
    ] = "energy,forces,stress",
    device: Annotated[str, typer.Option(help="Device: cpu or cuda.")] = "cpu",
    dtype: Annotated[
        str | None,
        typer.Option(
            help="float32 or float64.  [default: float64 for a model, a program's own precision]"
        ),
    ] = None,
    memory: Annotated[float, typer.Option(help="Memory of each process's evaluation, GB.")] = 0.5,
    workers: Annotated[
        int | None,
        typer.Option(min=0, help="Processes; 0: none.  [default: one per core, or one per GPU]"),
    ] = None,
) -> None:
    """Compute energies, forces and stresses of many structures; a killed run goes on."""
    from mhff.data.sources import find_files
    from mhff.files import check_output, sha256_of_file
    from mhff.many.compute import Job, request_for, split_heads
    from mhff.many.files import FileStructures
    from mhff.many.parts import PartJob
    from mhff.modelfile import model_path
    from mhff.opening import open_evaluator
    from mhff.options import CompileOptions

    if output.suffix not in ENDINGS:
        raise MHFFError(f"expected -o to end in {' or '.join(ENDINGS)}, got '{output}'; rename it")
    files = find_files(structures)
    check_output(output, [model_path(model), *files])
    options = CompileOptions.model_validate({"device": device, "precision": dtype})
    evaluator = open_evaluator(model, options)
    heads, chosen = split_heads(
        evaluator.capabilities, _heads(evaluator.capabilities, head or [], all_heads)
    )
    names = [name.strip() for name in properties.split(",")]
    job = Job(evaluator, request_for(names, heads), chosen, memory)
    part_job = PartJob(job, FileStructures(files))
    _check_head(part_job)
    _write(output, part_job, sha256_of_file(model_path(model)), workers)


def _heads(can: Capabilities, beginnings: Sequence[str], all_heads: bool) -> str | list[str] | None:
    """The head of that beginning, several, or None."""
    if all_heads and beginnings:
        raise MHFFError("--all-heads computes every head; leave out --head, or --all-heads")
    chosen = list(can.heads.names) if all_heads else [can.complete(each) for each in beginnings]
    if len(chosen) > 1:
        return chosen
    return chosen[0] if chosen else None


def _check_head(job: PartJob) -> None:
    """Raise MHFFError if no head is given, the model has several, and structures name none."""
    from mhff.heads import HEAD_KEY

    if job.job.request.heads or job.job.head is not None:
        return
    for atoms in job.examples():
        if HEAD_KEY not in atoms.info and HEAD_KEY not in atoms.arrays:
            with located("give --head"):
                job.job.evaluator.capabilities.head_row(None)


def _write(output: Path, job: PartJob, model_sha256: str, workers: int | None) -> None:
    """Compute and write all structures, or those that an earlier run has left."""
    from mhff.cli.progress import progress
    from mhff.heads import OnceOnly
    from mhff.many.long import expect, in_parts
    from mhff.many.parts import PART, parts_of
    from mhff.many.unfinished import Unfinished

    once = OnceOnly()
    total = len(job.structures)
    device = job.job.evaluator.capabilities.device
    purpose = {"model": model_sha256, **job.settings()}
    with Unfinished(output, purpose).opened() as unfinished:
        heads = job.job.request.heads or [job.job.head or "that of each structure"]
        typer.echo(f"head: {listing(heads)}", err=True)
        done = min(PART * unfinished.n_parts, total)
        if done:
            typer.echo(f"going on after {done} of {total} structures", err=True)
        expect(job.job.evaluator, job.examples(), total)
        parts = parts_of(total)[unfinished.n_parts :]
        with progress(total, done, "structures") as advance:
            for part in in_parts(job, parts, device, workers):
                unfinished.append(part.text, part.troubles)
                for note in once.new(part.notes):
                    typer.echo(f"note: {note}", err=True)
                advance(part.n_structures)
        unfinished.finish()
    if unfinished.troubles:
        raise MHFFError(
            f"{len(unfinished.troubles)} of {total} structures could not be computed; '{output}' "
            f"has the others, and mhff_error in these: {shortened(unfinished.troubles)}"
        )
    typer.echo(f"wrote {output}")
