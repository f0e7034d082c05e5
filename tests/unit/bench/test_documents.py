"""The tables in README and in `benchmarks/results/` say what the committed measurements say."""

from __future__ import annotations

import pytest
from readme_table import BEGIN, END, insert, three_digits
from result_tables import RESULTS, documents


def test_documents_follow_from_the_results() -> None:
    for path, text in documents(RESULTS).items():
        assert path.read_text() == text, f"run benchmarks/result_tables.py: {path} is out of date"


@pytest.mark.parametrize(
    ("value", "text"), [(11509.6, "11500"), (112.4, "112"), (5.649, "5.65"), (16.4, "16.4")]
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert three_digits(value) == text


def test_tables_replace_older_ones_and_nothing_else() -> None:
    document = f"before\n{BEGIN}old\n{END}after\n"
    once = insert(document, "| new |\n")
    assert once == insert(once, "| new |\n")
    assert once.startswith("before\n")
    assert once.endswith("after\n")
    assert "old" not in once
