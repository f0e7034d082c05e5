"""The files of a report, and the errors in the provenance of the model."""

from __future__ import annotations

import json
from pathlib import Path

from mhff.files import write_atomically
from mhff.modelfile import Model, load
from mhff.train.report.content import Finished, Report, make_report
from mhff.train.report.page import page

HTML = "report.html"
JSON = "report.json"
CSV = "report.csv"
REPORT_FILES = (HTML, JSON, CSV)
"""The names of the files in the run's folder."""


def write_report(run: Finished, model_file: Path) -> Report:
    """The report of a run's best model, which is also written.

    It goes to the files of the report, and its errors per head to the model's provenance.
    """
    model = load(model_file)
    report = make_report(run, model)
    folder = run.settings.run.out
    errors = {
        part: {head: each.as_dict() for (head,), each in rows.items()}
        for part, rows in report.by_head.items()
    }
    Model(model.network, model.heads, {**model.provenance, "errors": errors}).save(model_file)
    write_atomically(folder / JSON, json.dumps(report.as_json(), indent=2).encode())
    write_atomically(folder / CSV, report.rows().csv().encode())
    write_atomically(folder / HTML, page(report).encode())
    return report
