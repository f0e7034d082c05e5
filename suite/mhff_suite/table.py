"""The tables of a report for the terminal, and as Markdown."""

from __future__ import annotations

from collections.abc import Iterable

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mhff.errors import printable
from mhff.heads import Head
from mhff_suite.outcome import Value
from mhff_suite.report import Change, LeftOut, ModelReport, Report, Row

OTHER_THEORY = "~"
"""Mark of a value that is compared with another level of theory than the head's."""
FACTOR_OF_BAD = 3.0
"""Multiple of the target beyond which a value is red."""
STYLES = {"gain": "green", "loss": "red", "same": "dim"}
MARKED = f"{OTHER_THEORY}: the head does not aim at the reference's level of theory"
LEGEND = f"green: within the target; red: more than {FACTOR_OF_BAD:g} times the target; {MARKED}"


def number(value: float) -> str:
    """A value with three digits."""
    return f"{value:.3g}"


def cell(row: Row, head: Head) -> str:
    """A head's value, marked if the test is not a fair one."""
    if head.name not in row.values:
        return "-"
    mark = "" if row.task.reference.is_fair(head) else f" {OTHER_THEORY}"
    return number(row.values[head.name].value) + mark


def colour(value: Value | None) -> str:
    """The style of a value: within its target, somewhat or far beyond it."""
    if value is None:
        return "dim"
    if value.passed:
        return "green"
    return "red" if value.value > FACTOR_OF_BAD * value.target else "yellow"


def terminal(report: Report) -> RenderableType:
    """All tables of a report."""
    parts: list[RenderableType] = [_values(report.model), Text(LEGEND, style="dim"), Text()]
    parts += [
        Text(printable(f"  {head.name}: {head.level_of_theory}")) for head in report.model.heads
    ]
    sentences = list(failures(report.model))
    if sentences:
        parts += [Text("\nPhysical behaviour to mend", style="bold"), *map(Text, sentences)]
    if report.changes:
        parts += [Text(), _changes(report)]
    left_out = list(grouped(report.model.left_out))
    if left_out:
        parts += [Text("\nLeft out", style="bold"), *(Text(f"  {line}") for line in left_out)]
    return Group(*parts)


def failures(report: ModelReport) -> Iterable[str]:
    """A sentence for each physical law that a head breaks."""
    for row in report.rows:
        for head, value in row.values.items():
            if value.sentence and not value.passed:
                yield f"  {row.task.name} ({head}): {value.sentence}"


def grouped(left_out: Iterable[LeftOut]) -> Iterable[str]:
    """Left-out tasks, those with one reason in one line."""
    by_reason: dict[tuple[str, str], list[str]] = {}
    for each in left_out:
        by_reason.setdefault((each.task, each.why), []).append(each.head)
    for (task, why), heads in by_reason.items():
        yield printable(f"{task} ({', '.join(heads)}): {why}")


def _values(report: ModelReport) -> Table:
    title = f"{report.model}, quick suite" if report.quick else report.model
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    table.add_column("quantity", overflow="fold")
    for head in report.heads:
        table.add_column(head.name, justify="right", no_wrap=True)
    table.add_column("target", justify="right", no_wrap=True)
    domain = ""
    task = ""
    for row in report.rows:
        if row.task.domain != domain:
            domain = row.task.domain
            table.add_row(Text(domain, style="bold"))
        if row.task.name != task:
            task = row.task.name
            table.add_row(Text.assemble((f" {task}", "cyan"), f": {row.task.reference.theory}"))
        cells = (
            Text(cell(row, head), style=colour(row.values.get(head.name))) for head in report.heads
        )
        table.add_row(f"   {row.quantity}, {row.unit}", *cells, number(row.target))
    return table


def _changes(report: Report) -> Table:
    """The forgetting matrix: the other model's value, and this one's."""
    other = report.other.model if report.other else ""
    title = f"{report.model.model} against {other}"
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    heads = report.compared_heads
    table.add_column("task")
    table.add_column("quantity", overflow="fold")
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    for (task, quantity), by_head in matrix(report.changes).items():
        cells = [change_cell(by_head.get(head)) for head in heads]
        table.add_row(task, quantity, *cells)
    return table


def matrix(changes: Iterable[Change]) -> dict[tuple[str, str], dict[str, Change]]:
    """Changes by task and quantity, then by head."""
    found: dict[tuple[str, str], dict[str, Change]] = {}
    for change in changes:
        found.setdefault((change.task, change.quantity), {})[change.head] = change
    return found


def change_cell(change: Change | None) -> Text:
    """A change as text: the value before and after."""
    if change is None:
        return Text("-", style="dim")
    text = f"{number(change.before.value)} -> {number(change.after.value)}"
    return Text(text, style=STYLES[change.word])


def markdown(report: Report) -> str:
    """The tables of a report in Markdown."""
    return _changes_in_markdown(report) + _values_in_markdown(report.model)


def _changes_in_markdown(report: Report) -> str:
    """The forgetting matrix, in which words stand for colours; empty without another model."""
    if report.other is None:
        return ""
    heads = report.compared_heads
    lines = [
        [task, quantity, *(_change_in_words(by_head.get(head)) for head in heads)]
        for (task, quantity), by_head in matrix(report.changes).items()
    ]
    title = f"# {report.model.model} against {report.other.model}"
    table = _table_in_markdown(["task", "quantity", *heads], ["---"] * (2 + len(heads)), lines)
    return "\n".join([title, "", *table, "", ""])


def _change_in_words(change: Change | None) -> str:
    text = change_cell(change).plain
    return text if change is None or change.word == "same" else f"{text}, {change.word}"


def _table_in_markdown(header: list[str], rule: list[str], lines: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(line)} |" for line in [header, rule, *lines]]


def _values_in_markdown(report: ModelReport) -> str:
    """The table of values, the heads' levels of theory, and what was left out."""
    heads = report.heads
    header = ["task", "quantity", "unit", "reference", *(head.name for head in heads), "target"]
    rule = ["---"] * 4 + ["---:"] * (len(heads) + 1)
    lines = [
        [
            row.task.name,
            row.quantity,
            row.unit,
            row.task.reference.theory,
            *(cell(row, head) for head in heads),
            number(row.target),
        ]
        for row in report.rows
    ]
    table = _table_in_markdown(header, rule, lines)
    words = [f"- {head.name}: {head.level_of_theory}" for head in heads]
    text = [f"# {report.model}", "", *words, f"- {MARKED}", "", *table]
    sentences = [f"- {line.strip()}" for line in failures(report)]
    left_out = [f"- {line}" for line in grouped(report.left_out)]
    if sentences:
        text += ["", "Physical behaviour to mend:", "", *sentences]
    if left_out:
        text += ["", "Left out:", "", *left_out]
    return "\n".join(text) + "\n"
