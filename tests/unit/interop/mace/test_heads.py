"""Descriptions of imported heads, from the published models and from the user's file."""

from __future__ import annotations

from pathlib import Path

import pytest
from ase.data import chemical_symbols

from mhff.errors import MHFFError
from mhff.interop.mace.heads import describe_heads
from mhff.interop.mace.published import MACE_MH_1, recognise
from mhff.model.config import ModelConfig

MH1_HEADS = (
    "matpes_r2scan",
    "mp_pbe_refit_add",
    "spice_wB97M",
    "oc20_usemppbe",
    "omol",
    "omat_pbe",
)
ELEMENTS_89 = tuple(chemical_symbols[1:84] + chemical_symbols[89:95])


def mh1(**changes: object) -> ModelConfig:
    return ModelConfig(
        **{"elements": ELEMENTS_89, "heads": MH1_HEADS, "n_channels": 512, "r_max": 6.0} | changes
    )


def small() -> ModelConfig:
    return ModelConfig(elements=("H", "O"), heads=("a", "b"))


def given(folder: Path, text: str) -> Path:
    file = folder / "heads.yaml"
    file.write_text(text)
    return file


def test_mace_mh_1_is_known_by_its_heads_and_shape() -> None:
    assert recognise(mh1()) is MACE_MH_1
    info = describe_heads(mh1())
    assert info.published_as == "mace-mh-1"
    assert [head.name for head in info.heads] == list(MH1_HEADS)
    levels = {head.name: head.level_of_theory for head in info.heads}
    assert levels["matpes_r2scan"].startswith("r2SCAN")
    assert levels["spice_wB97M"].startswith("wB97M-D3(BJ)")
    with_dispersion = [head.name for head in info.heads if head.dispersion]
    assert with_dispersion == ["spice_wB97M", "omol"]
    assert not [head.name for head in info.heads if head.dispersion is None]
    assert all(
        "2510.25380" in head.citation and head.licence.startswith("ASL") for head in info.heads
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"heads": MH1_HEADS[:5]},
        {"heads": MH1_HEADS[::-1]},
        {"n_channels": 128},
        {"r_max": 5.0},
        {"elements": ELEMENTS_89[:-1]},
    ],
)
def test_nothing_is_guessed(changes: dict[str, object]) -> None:
    info = describe_heads(mh1(**changes))
    assert info.published_as is None
    assert {head.level_of_theory for head in info.heads} == {"unknown"}
    assert {head.licence for head in info.heads} == {"unknown"}
    assert {head.dispersion for head in info.heads} == {None}


def test_the_user_has_the_last_word(tmp_path: Path) -> None:
    file = given(
        tmp_path,
        "licence: MIT\nheads: {a: {level_of_theory: PBE, elements: [H]}, b: {licence: CC-BY}}",
    )
    a, b = describe_heads(small(), file).heads
    assert (a.level_of_theory, a.licence, a.elements) == ("PBE", "MIT", ("H",))
    assert (b.level_of_theory, b.licence, b.elements) == ("unknown", "CC-BY", ())


def test_the_user_overrules_the_table(tmp_path: Path) -> None:
    info = describe_heads(mh1(), given(tmp_path, "heads: {oc20_usemppbe: {level_of_theory: RPBE}}"))
    assert info.heads[3].level_of_theory == "RPBE"
    assert info.heads[3].licence.startswith("ASL")


def test_the_user_knows_whether_dispersion_is_in_the_data(tmp_path: Path) -> None:
    text = "dispersion: true\nheads: {b: {dispersion: no}}"
    a, b = describe_heads(small(), given(tmp_path, text)).heads
    assert (a.dispersion, b.dispersion) == (True, False)


def test_texts_become_one_line(tmp_path: Path) -> None:
    head, _ = describe_heads(small(), given(tmp_path, "citation: |\n  A. Author,\n  2026\n")).heads
    assert head.citation == "A. Author, 2026"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("heads: {c: {licence: MIT}}", "describes c, but this model has the heads a, b"),
        ("heads: {a: {elements: [H, Xe]}}", "names the elements Xe, which this model lacks"),
        (
            "heads: {a: {theory: PBE}}",
            "heads.a.theory: extra inputs are not permitted; write it as heads: ",
        ),
        (
            "heads: {a: {dispersion: D3}}",
            "heads.a.dispersion: input should be a valid boolean",
        ),
        ("- a", "the file: input should be a valid dictionary"),
        ("heads: [", "is not valid YAML"),
        (
            'citation: "\\e[2J"',
            "citation: value error, expected one line without control characters",
        ),
    ],
)
def test_mistakes_are_one_sentence(text: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(MHFFError) as raised:
        describe_heads(small(), given(tmp_path, text))
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(MHFFError, match=r"no file '.*nothing.yaml': expected YAML such as heads: "):
        describe_heads(small(), tmp_path / "nothing.yaml")
