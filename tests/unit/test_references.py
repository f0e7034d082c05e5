"""Names and paths of the repository that comments, docstrings and documents mention exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import components
import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "mhff": ROOT / "mhff",
    "mhff_deploy": ROOT / "deploy/mhff_deploy",
    "mhff_lammps": ROOT / "lammps_plugin/mhff_lammps",
    "mhff_openmm": ROOT / "openmm_plugin/mhff_openmm",
    "mhff_metatomic": ROOT / "metatomic_plugin/mhff_metatomic",
    "mhff_bench": ROOT / "benchmarks/mhff_bench",
    "mhff_suite": ROOT / "suite/mhff_suite",
}
FOLDERS = (*components.FOLDERS, "tests", "docs")
DOTTED = re.compile(rf"(?<![\w./])({'|'.join(PACKAGES)})((?:\.[A-Za-z_]\w*)+)")
SLASHED = re.compile(rf"(?<![\w./-])(?:{'|'.join(FOLDERS)})/[\w./*-]*[\w*]")
ENTRY_POINTS = {"mhff.commands", "mhff.files", "mhff.engines", "mhff.checks"}
OF_EVERY_MODULE = {"mhff.__file__", "mhff.__file__.startswith"}
NOT_OURS = {"mhff.mliap", "mhff.json", "mhff.safetensors", "mhff_kernels.so"}
"""Names of files that mhff writes."""
IN_HISTORY = {"mhff/ops/cpp/moments.h"}
"""Removed files that a document names together with their commit."""
FILES = sorted(
    path
    for folder in (*FOLDERS, "data/generate", "examples")
    for suffix in ("py", "md", "h", "yaml")
    for path in (ROOT / folder).rglob(f"*.{suffix}")
    if path != Path(__file__)
)
DOCUMENTS = [ROOT / name for name in ("README.md", "CHANGELOG.md", "Makefile", "pyproject.toml")]


def exists(package: str, names: list[str]) -> bool:
    """Whether dotted names lead to a module of a package, or to a word in its source."""
    place = PACKAGES[package]
    while names and ((place / names[0]).is_dir() or (place / f"{names[0]}.py").is_file()):
        place = place / names.pop(0)
    source = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    return not names or re.search(rf"\b{names[0]}\b", source.read_text()) is not None


def broken(text: str) -> Iterator[str]:
    """Mentioned names and paths that lead nowhere."""
    for match in DOTTED.finditer(text):
        names = match[2][1:].split(".")
        if match[0] not in ENTRY_POINTS | OF_EVERY_MODULE | NOT_OURS and not exists(
            match[1], names
        ):
            yield match[0]
    for match in SLASHED.finditer(text):
        if match[0] not in IN_HISTORY and not any(ROOT.glob(match[0])):
            yield match[0]


@pytest.mark.parametrize("path", [*FILES, *DOCUMENTS], ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_mentioned_exists(path: Path) -> None:
    assert not list(broken(path.read_text()))


def test_removed_modules_are_noticed() -> None:
    text = "`mhff.inputs`, mhff_deploy.targets.find_target and mhff/ops/native/parts.py"
    assert list(broken(text)) == [
        "mhff.inputs",
        "mhff_deploy.targets.find_target",
        "mhff/ops/native/parts.py",
    ]
