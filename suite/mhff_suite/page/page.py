"""The sections of the page."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path

from mhff.evaluate.html import STYLE, Section, html_page, paragraph
from mhff_suite.page import figures
from mhff_suite.protocol import Domain, Task
from mhff_suite.report import ModelReport, Report, Row
from mhff_suite.table import cell, colour, failures, grouped, matrix, number

COLOURS = f"""{STYLE}
td.green {{ color: #2d6a3e; background: #eef6ef; }}
td.yellow {{ color: #7a5b12; background: #fbf6e6; }}
td.red {{ color: #9a2f35; background: #fbecec; }}
td.dim {{ color: #9aa5b0; }}
td.gain {{ background: #dcefdf; }}
td.loss {{ background: #f6d9da; }}
.task {{ margin: 1.6rem 0 2.2rem; }}
.task h3 {{ margin-bottom: 0; }}
.source {{ color: #5b6876; font-size: .82rem; margin: .2rem 0 .6rem; max-width: 60rem; }}
figure {{ margin: .6rem 0; }}
figcaption {{ font-size: .82rem; color: #45525f; }}
"""
SCORES = (
    "A score of 1 means no error, 1/2 an error at the target, 0 an error far beyond it; a domain "
    "counts its tasks alike. All tasks count, also those whose reference is of another level of "
    "theory than the head; the tables mark these with ~."
)
CHANGES = (
    "Each cell has the value of the other model and that of this one. Green is a gain, red a loss; "
    "small changes far from the target are neither."
)


def page(report: Report) -> str:
    """The whole page."""
    heads = ", ".join(head.name for head in report.model.heads)
    about = f"mhff suite{', quick' if report.model.quick else ''}; heads {heads}"
    return html_page(report.model.model, about, list(_sections(report)), COLOURS)


def _sections(report: Report) -> Iterator[Section]:
    model = report.model
    yield "Overview", _overview(report)
    if report.changes:
        yield "Gains and losses", _changes(report)
    for domain in Domain:
        tasks = [
            task
            for task in model.tasks
            if task.domain == domain and any(row.task == task for row in model.rows)
        ]
        if tasks:
            yield domain[0].upper() + domain[1:], "\n".join(_task(model, task) for task in tasks)
    if model.left_out:
        lines = "".join(f"<li>{escape(line)}</li>" for line in grouped(model.left_out))
        yield "Left out", f"<ul>{lines}</ul>"


def _overview(report: Report) -> str:
    model = report.model
    scores = {head.name: model.scores(head.name) for head in model.heads}
    if report.other is not None:
        names = [head.name for head in report.other.heads]
        other = Path(report.other.model).name  # a long legend would leave no room for the radar
        scores |= {f"{name}, {other}": report.other.scores(name) for name in names}
    parts = [paragraph(SCORES)]
    scores = {name: each for name, each in scores.items() if each}
    if scores:
        parts.append(figures.radar(scores))
    parts.append(_heads(model))
    sentences = [f"<li>{escape(line.strip())}</li>" for line in failures(model)]
    if sentences:
        parts.append(f"<h3>Physical behaviour to mend</h3><ul>{''.join(sentences)}</ul>")
    return "\n".join(parts)


def _heads(model: ModelReport) -> str:
    domains = [each for each in Domain if any(each in model.scores(h.name) for h in model.heads)]
    header = "".join(f"<th>{escape(domain)}</th>" for domain in domains)
    lines = []
    for head in model.heads:
        scores = model.scores(head.name)
        cells = "".join(
            f"<td>{scores[domain]:.2f}</td>" if domain in scores else "<td>-</td>"
            for domain in domains
        )
        names = f'<td class="text">{escape(head.name)}</td>'
        theory = f'<td class="text">{escape(head.level_of_theory)}</td>'
        lines.append(f"<tr>{names}{theory}{cells}</tr>")
    return _table(f'<th class="text">head</th><th class="text">level of theory</th>{header}', lines)


def _task(model: ModelReport, task: Task) -> str:
    rows = [row for row in model.rows if row.task == task]
    reference = task.reference
    source = f"Reference: {reference.theory}. {reference.source}. Licence: {reference.licence}."
    parts = [
        f'<div class="task"><h3>{escape(task.title)}</h3>',
        f'<p class="source">{escape(task.computes)} {escape(source)}</p>',
        _values(model, rows),
    ]
    drawings = model.drawings(task)
    for title in figures.titles(drawings):
        of_title = {
            head: next(each for each in group if each.title == title)
            for head, group in drawings.items()
            if any(each.title == title for each in group)
        }
        caption = f"<figcaption>{escape(title)}</figcaption>"
        parts.append(f"<figure>{figures.panels(of_title)}{caption}</figure>")
    for head, notes in model.notes(task).items():
        parts.append(f'<p class="source">{escape(head)}: {escape(" ".join(notes))}</p>')
    return "\n".join(parts) + "</div>"


def _values(model: ModelReport, rows: list[Row]) -> str:
    names = "".join(f"<th>{escape(head.name)}</th>" for head in model.heads)
    lines = []
    for row in rows:
        cells = "".join(
            f'<td class="{colour(row.values.get(head.name))}">{escape(cell(row, head))}</td>'
            for head in model.heads
        )
        quantity = f'<td class="text">{escape(row.quantity)}, {escape(row.unit)}</td>'
        lines.append(f"<tr>{quantity}{cells}<td>{number(row.target)}</td></tr>")
    return _table(f'<th class="text">quantity</th>{names}<th>target</th>', lines)


def _changes(report: Report) -> str:
    heads = report.compared_heads
    names = "".join(f"<th>{escape(head)}</th>" for head in heads)
    lines = []
    for (task, quantity), by_head in matrix(report.changes).items():
        cells = ""
        for head in heads:
            change = by_head.get(head)
            if change is None:
                cells += '<td class="dim">-</td>'
            else:
                text = f"{number(change.before.value)} → {number(change.after.value)}"
                cells += f'<td class="{change.word}">{text}</td>'
        texts = f'<td class="text">{escape(task)}</td><td class="text">{escape(quantity)}</td>'
        lines.append(f"<tr>{texts}{cells}</tr>")
    header = f'<th class="text">task</th><th class="text">quantity</th>{names}'
    return paragraph(CHANGES) + _table(header, lines)


def _table(header: str, lines: list[str]) -> str:
    body = "\n".join(lines)
    return (
        f'<div class="scroll"><table><thead><tr>{header}</tr></thead>\n'
        f"<tbody>{body}</tbody></table></div>\n"
    )
