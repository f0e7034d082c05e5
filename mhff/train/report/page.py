"""The report as one page of HTML that needs no network."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

import yaml

from mhff.describe import DISPERSION_WORDS, E0S_WORDS
from mhff.evaluate.html import Section, html_page, html_table, paragraph
from mhff.evaluate.table import Column, Table, text_column
from mhff.train.report import figures
from mhff.train.report.content import Report


def page(report: Report) -> str:
    """The whole page."""
    return html_page(report.run.settings.name, _about(report), list(_sections(report)))


def _about(report: Report) -> str:
    provenance = report.model.provenance
    origin = (str(provenance[key]) for key in ("made_by", "date") if key in provenance)
    return ", ".join(origin)


def _sections(report: Report) -> Iterator[Section]:
    """The sections that have something to say."""
    yield "Errors", paragraph(MEANING) + html_table(report.summary().brief())
    if report.run.start is not None:
        yield "Old heads before and after", _forgetting(report)
    if report.run.history:
        yield "Learning curves", _curves(report)
    yield "Parity", _parity(report)
    yield "Errors by configuration type", _by_type(report)
    yield "Model card", _card(report)
    if report.run.notes:
        notes = "".join(f"<li>{escape(note)}</li>" for note in report.run.notes)
        yield "Data", f"<ul>{notes}</ul>"
    if any(each["seconds"] for each in report.run.history):
        yield "Timings", html_table(_timings(report))
    settings = report.run.settings.model_dump(mode="json", exclude_defaults=True)
    text = yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)
    yield "Settings", f"<p>Left out: what has its default.</p><pre>{escape(text)}</pre>"


MEANING = (
    "MAE is the mean absolute error, RMSE the root mean square error: energies per atom over "
    "structures, force components, stress components. Training structures have been seen; "
    "validation structures chose the best epoch; test structures did neither."
)


def _forgetting(report: Report) -> str:
    text = paragraph(
        "Mean absolute errors of the start model and of the trained one for the same structures. "
        "A positive change means that the run made the head worse. With labels of the start model, "
        "the error after is how far the head has moved."
    )
    if report.before:
        text += html_table(report.forgetting().brief())
    if report.unmeasured:
        text += paragraph(
            "Not measured, because the run has no structures of them: "
            f"{', '.join(report.unmeasured)}. mhff eval measures them on other files."
        )
    return text


def _curves(report: Report) -> str:
    history = report.run.history
    losses = {
        each["epoch"]: each["valid_loss"] for each in history if each["valid_loss"] is not None
    }
    text = f"{len(history)} epochs"
    if losses:
        best = min(losses, key=lambda epoch: losses[epoch])
        text += f"; the validation loss was lowest in epoch {best}, whose model was kept"
    parts = [paragraph(f"{text}."), figures.curves(history)]
    errors = figures.errors(history, report.model.heads.names)
    if errors:
        parts += ["<h3>Validation errors of each head</h3>", errors]
    return "\n".join(parts)


def _parity(report: Report) -> str:
    present = {item.head for each in report.after.values() for item in each}
    heads = [head for head in report.model.heads.names if head in present]
    text = paragraph(
        "Energies per atom are relative to a least-squares fit of the labels by composition."
    )
    return text + "\n".join(figures.parity(report.after, head) for head in heads)


def _by_type(report: Report) -> str:
    return "\n".join(
        f"<h3>{escape(part)}</h3>{html_table(report.by_type(part).brief())}"
        for part in reversed(report.after)
    )


def _card(report: Report) -> str:
    """Heads, their levels of theory and E0s, and the size of the model."""
    model = report.model
    weights = sum(each.numel() for each in model.network.parameters())
    config = model.network.config
    facts = (
        f"{weights:,} weights, {config.n_layers} layers, r_max {config.r_max:g} Å, "
        f"elements {', '.join(model.elements)}."
    )
    return "\n".join(
        [
            paragraph(facts),
            html_table(_head_table(report)),
            "<h3>Reference energies (E0s), eV</h3>",
            html_table(_e0_table(report)),
            paragraph(LIMITS),
        ]
    )


LIMITS = (
    "A head is meant for the elements and the domain of its data; for anything else it "
    "extrapolates. Do not compare total energies of heads whose E0s differ in kind."
)


def _head_table(report: Report) -> Table:
    headings = (
        "head",
        "level of theory",
        "dispersion",
        "domain",
        "elements",
        "E0s",
        "licence",
        "citation",
    )
    rows = tuple(
        (
            head.name,
            head.level_of_theory,
            DISPERSION_WORDS[head.dispersion],
            head.domain,
            ", ".join(head.elements),
            E0S_WORDS[head.e0s_kind],
            head.licence,
            head.citation,
        )
        for head in report.model.heads
    )
    return Table(tuple(map(text_column, headings)), rows)


def _e0_table(report: Report) -> Table:
    """A row per element, a column per head."""
    E0s = report.model.network.reference_energies.E0s.T.tolist()
    columns = [Column(name, name, 4) for name in report.model.heads.names]
    rows = tuple((element, *row) for element, row in zip(report.model.elements, E0s, strict=True))
    return Table((text_column("element"), *columns), rows)


def _timings(report: Report) -> Table:
    """Time of an epoch, and of all of them."""
    run = report.run.settings.run
    seconds = sorted(each["seconds"] for each in report.run.history if each["seconds"])
    facts: list[tuple[str, Any]] = [
        ("epochs", len(seconds)),
        ("median time of an epoch, s", f"{seconds[len(seconds) // 2]:.3g}"),
        ("time of all epochs, min", f"{sum(seconds) / 60:.3g}"),
        ("device", run.device),
        ("precision", run.dtype),
        ("structures in a step", run.batch_size),
    ]
    return Table((text_column(""), Column("value", "")), tuple(facts))
