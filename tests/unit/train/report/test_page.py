"""The page of a report: whole, without network, with what the run knows, safe for any name."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from models import random_model

from mhff.evaluate.errors import Comparison, by_head_and_type
from mhff.evaluate.html import html_table
from mhff.evaluate.table import Column, Table, text_column
from mhff.heads import Head, Heads
from mhff.modelfile import Model
from mhff.train.report.content import Finished, Report
from mhff.train.report.figures import curves, errors
from mhff.train.report.page import page
from mhff.train.settings import Settings

VOID = {"meta", "br", "path", "use", "image", "rect", "line", "circle"}
HEADS = ("<b>old</b>", "new")
SETTINGS = Settings.model_validate(
    {"name": "a_name", "heads": {head: {"files": ["x.xyz"]} for head in HEADS}}
)


def comparison(head: str, seed: int, stress: bool = False) -> Comparison:
    rng = np.random.default_rng(seed)
    forces = rng.normal(size=(2, 4, 3))
    tensors = tuple(rng.normal(size=(2, 3, 3))) if stress else None
    energy = tuple(rng.normal(size=2).tolist())
    return Comparison(head, "type & <kind>", np.array([0, 1, 1, 1]), energy, tuple(forces), tensors)


def several(head: str, stress: bool = False) -> list[Comparison]:
    return [comparison(head, seed, stress) for seed in range(4)]


def record(epoch: int, valid: bool = True) -> dict[str, Any]:
    content = by_head_and_type([item for head in HEADS for item in several(head)])
    return {
        "epoch": epoch,
        "learning_rate": 0.01 / epoch,
        "gradient_norm": 1.0,
        "train_loss": 3.0 / epoch,
        "valid_loss": 4.0 / epoch if valid else None,
        "valid": content if valid else {},
        "seconds": 2.0,
    }


def report(history: list[dict[str, Any]], start: bool = True) -> Report:
    network = random_model(heads=HEADS, elements=("H", "O")).network
    heads = Heads([Head(name=name, elements=("H",), licence="<MIT>") for name in HEADS])
    model = Model(network, heads, {"made_by": "a test", "date": "today"})
    after = {part: [*several(HEADS[0], True), *several("new")] for part in ("train", "test")}
    before = {"test": several(HEADS[0])} if start else {}
    run = Finished(SETTINGS, {}, history, ("a note",), model if start else None)
    return Report(run, model, after, before)


class Structure(HTMLParser):
    """Collects unclosed elements and everything that a page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.svgs = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.svgs += tag == "svg"
        for name, value in attrs:
            if (
                name in ("src", "href", "xlink:href")
                and value
                and not value.startswith(("#", "data:"))
            ):
                self.fetched.append(value)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


@pytest.fixture(scope="module")
def text() -> str:
    return page(report([record(1), record(2)]))


def test_the_page_is_whole_and_needs_no_network(text: str) -> None:
    found = Structure()
    found.feed(text)
    assert found.open == []
    assert found.fetched == []
    assert "@import" not in text
    assert "url(http" not in text
    n_heads = 2
    assert found.svgs == 2 + n_heads, "losses, errors, parity of each head"


def test_everything_is_there(text: str) -> None:
    for title in (
        "Errors",
        "Old heads before and after",
        "Learning curves",
        "Parity",
        "Errors by configuration type",
        "Model card",
        "Data",
        "Timings",
        "Settings",
    ):
        assert f"<h2>{title}</h2>" in text
    assert "lowest in epoch 2" in text
    assert "a note" in text
    assert "Not measured, because the run has no structures of them: new." in text


def test_names_are_text_and_not_html(text: str) -> None:
    assert "<b>old" not in text
    assert "&lt;b&gt;old&lt;/b&gt;" in text
    assert "&lt;MIT&gt;" in text
    assert "type &amp; &lt;kind&gt;" in text


def test_a_run_from_scratch_without_validation_or_log() -> None:
    text = page(report([record(1, valid=False)], start=False))
    assert "Old heads before and after" not in text
    assert "Validation errors of each head" not in text
    assert "Learning curves" not in page(report([], start=False))


def test_figures_depend_on_their_content_alone() -> None:
    assert curves([record(1), record(2)]) == curves([record(1), record(2)])
    assert curves([record(1), record(2)]) != curves([record(1), record(3)])
    assert errors([record(1, valid=False)], HEADS) == ""


def test_a_table_in_html() -> None:
    table = Table((text_column("a"), Column("b", "b, meV/A", 1)), (("<x>", 1.25), ("y", None)))
    cells = re.findall(r"<t[hd](?: [^>]*)?>(.*?)</t[hd]>", html_table(table))
    assert cells == ["a", "b, meV/Å", "&lt;x&gt;", "1.2", "y", "-"]
