"""What metatomic's engines cannot run is refused before anything is compiled."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Here, refusal_of
from models import tiny_model

from mhff.engines import folder_beside
from mhff_metatomic import engine


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "M.mhff"
    tiny_model().save(path)
    return path


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("--head dft", "unknown head 'dft'"),
        ("--head surf --device cuda", "expected the device cpu for metatomic, got cuda"),
        ("--head surf --isa portable", "expected --isa native or x86-64-v3 for metatomic"),
        ("--head surf --form aoti", "target 'metatomic' does not take the form 'aoti'"),
        ("--head surf --charge 1", "this model has no total-charge input"),
    ],
)
def test_mistakes(
    mhff: Here, monkeypatch: pytest.MonkeyPatch, path: Path, arguments: str, sentence: str
) -> None:
    monkeypatch.setattr(engine, "installed_version", lambda name: "0.1.19")
    output = path.with_name("out.pt")
    done = mhff("compile", path, "--target", "metatomic", "-o", output, *arguments.split())
    assert sentence in refusal_of(done)
    assert not output.exists()
    assert not folder_beside(str(output)).exists()


def test_without_metatomic(mhff: Here, monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    monkeypatch.setattr(engine, "installed_version", lambda name: None)
    done = mhff("compile", path, "--head", "surf", "--target", "metatomic", "-o", f"{path}.pt")
    assert refusal_of(done) == (
        "the target 'metatomic' needs metatomic-torch, which is not installed; get it with pip "
        "install 'mhff[metatomic]'"
    )


def test_libraries_lie_beside_the_file() -> None:
    assert folder_beside("runs/mini.pt") == Path("runs/mini.extensions")
