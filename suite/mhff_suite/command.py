"""`mhff suite`: benchmarks of every head over molecules, crystals and surfaces."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mhff.errors import MHFFError, listing

if TYPE_CHECKING:
    from mhff.filekinds import Say
    from mhff_suite.jobs import HeadsOf, Job
    from mhff_suite.report import Report

INTERRUPTED = 130
"""Exit code after an interrupt, as of shells."""
HeadsOption = Annotated[
    str | None, typer.Option(help="Heads, e.g. a,b; the beginning of a name is enough.")
]
TasksOption = Annotated[
    str | None, typer.Option(help="Tasks or domains, e.g. s22,crystals; by default all.")
]
DataOption = Annotated[
    list[Path] | None,
    typer.Option(help="Folder with unpacked packages that ship references; repeatable."),
]


def suite(
    model: Annotated[str, typer.Argument(help="Model file, or mini.")],
    heads: HeadsOption = None,
    tasks: TasksOption = None,
    quick: Annotated[bool, typer.Option("--quick", help="A small part of each task.")] = False,
    against: Annotated[
        str | None, typer.Option(help="Another model: gains and losses, task by task.")
    ] = None,
    data: DataOption = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder; by default suite-MODEL.")
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write the page here, too.")] = None,
    workers: Annotated[
        int | None, typer.Option(help="Worker processes; by default one for each core.")
    ] = None,
    device: Annotated[str, typer.Option(help="Device: cpu or cuda.")] = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Benchmark every head over molecules, crystals and surfaces, without a network.

    Finished tasks are kept in the folder; the same command goes on where it stopped.
    """
    import json

    from rich.console import Console

    from mhff_suite.jobs import Job
    from mhff_suite.registry import choose_tasks
    from mhff_suite.table import terminal

    folders = tuple(str(folder.resolve()) for folder in data or [])
    folder = out or Path(f"suite-{Path(model).stem}")
    chosen = choose_tasks(_names(tasks), quick)
    models = [model] if against is None else [model, against]
    _check(models, folders, workers, html)
    of_model = _heads(models, _names(heads))
    like = Job(model, "", "", quick, device, folders)
    notes = Console(stderr=True, highlight=False)
    with notes.status("") as status:
        report = _run(
            models,
            [task.name for task in chosen],
            of_model,
            like,
            (folder, workers),
            lambda sentence: status.update(sentence),
        )
    _write(report, folder, html)
    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=1))
    else:
        console = Console()
        console.print(terminal(report))
        console.print(f"\nwrote suite.html, .json, .csv and .md in {folder}", highlight=False)
    if any("interrupted" in each.why for each in report.model.left_out):
        raise typer.Exit(INTERRUPTED)


def _run(
    models: list[str],
    tasks: list[str],
    heads: HeadsOf,
    like: Job,
    place: tuple[Path, int | None],
    say: Say,
) -> Report:
    """The report of all jobs; `place` is the folder and the number of workers."""
    from mhff.files import alone_in
    from mhff.opening import read_capabilities
    from mhff_suite.jobs import Store, make_jobs
    from mhff_suite.registry import all_tasks
    from mhff_suite.report import ModelReport, Report
    from mhff_suite.runner import Runner, cores

    folder, workers = place
    jobs = make_jobs(models, like, tasks, heads)
    folder.mkdir(parents=True, exist_ok=True)
    n_workers = workers or cores()
    with alone_in(folder, "-o"):
        runner = Runner(n_workers, max(1, cores() // n_workers), Store(folder))
        results = runner.run(jobs, say)
    reports = []
    for model in models:
        known = read_capabilities(model).heads
        reports.append(
            ModelReport(
                model,
                tuple(head for head in known if head.name in heads[model]),
                tuple(all_tasks()[name] for name in tasks),
                {(job.task, job.head): results[job] for job in jobs if job.model == model},
                like.quick,
            )
        )
    return Report(*reports)


def _check(
    models: list[str], folders: tuple[str, ...], workers: int | None, html: Path | None
) -> None:
    """Raise MHFFError for what a user can get wrong, before anything is run."""
    from importlib.util import find_spec

    from mhff.files import check_output
    from mhff_suite.data import DataFolders
    from mhff_suite.jobs import check_model

    if find_spec("matplotlib") is None:
        raise MHFFError(
            "mhff suite draws figures with matplotlib, which is not installed; get it with pip "
            "install 'mhff[suite]'"
        )
    for model in models:
        check_model(model)
    if len(set(models)) < len(models):
        raise MHFFError(f"--against names '{models[0]}' itself; name another model")
    DataFolders(tuple(map(Path, folders))).check()
    if workers is not None and workers < 1:
        raise MHFFError(f"expected one worker or more, got {workers}")
    if html is not None:
        check_output(html, option="--html")


def _heads(models: list[str], beginnings: list[str]) -> HeadsOf:
    """The heads of each model; two models are compared by the heads that both have."""
    from mhff.opening import read_capabilities
    from mhff_suite.report import common_heads

    known = [read_capabilities(model).heads for model in models]
    names = [known[0].complete(each) for each in beginnings] or list(known[0].names)
    if len(models) == 1:
        return {models[0]: names}
    both = [name for name in common_heads(*known) if name in names]
    if not both:
        raise MHFFError(
            f"'{models[1]}' has none of the heads {listing(names)}, but {listing(known[1].names)}; "
            "compare models that have a head in common"
        )
    return {models[0]: names, models[1]: both}


def _write(report: Report, folder: Path, html: Path | None) -> None:
    import json

    from mhff.files import write_atomically
    from mhff_suite.page.page import page
    from mhff_suite.table import markdown

    text = page(report).encode()
    write_atomically(folder / "suite.md", markdown(report).encode())
    write_atomically(folder / "suite.html", text)
    write_atomically(folder / "suite.json", json.dumps(report.as_json(), indent=1).encode())
    write_atomically(folder / "suite.csv", report.csv().encode())
    if html is not None:
        write_atomically(html, text)


def _names(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]
