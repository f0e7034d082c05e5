"""How the code is written: sizes, docstrings, and habits that the house does without."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from components import FOLDERS

ROOT = Path(__file__).parents[2]
MAX_MODULE_LINES = 300
MAX_FUNCTION_LINES = 70
MAX_PARAMETERS = 6
PUBLIC_INTERFACES = {
    "compile_command",
    "bench",
    "suite",
    "evaluate",
    "compute",
    "train",
    "add_mhff_force",
}
"""Commands, and functions that users call by name: their options are what users see."""
OPERATORS = {"convolution", "_in_pieces", "_adjoint", "Convolve", "KernelConvolution", "near_edges"}
"""An operator takes its tensors one by one, as torch has it."""
INTERPRETERS_OF_PEERS = {"batches.py", "peer.py", "training_peer.py", "write_models.py"}
"""Programs of their own that run mace-torch, which wants a default dtype."""
UNWANTED_WORDS = re.compile(
    r"\b(somebody|nobody|whoever|is no (file|model|module|artefact)|such that are|which wants"
    r"|(is|are|was|were) told|is there twice|of one name|thousand million"
    r"|trembles?|(as|which) \w+ has it|in the place of|what takes part|else than|had better"
    r"|another \w+ than|bears? (another|the|its) name|does not fit its content|MOST_|LEAST_)\b"
)
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
DOCUMENTS = sorted(
    [
        *ROOT.glob("*.md"),
        *(
            path
            for folder in (*FOLDERS, "docs", "examples")
            for path in (ROOT / folder).rglob("*.md")
        ),
        ROOT / "data/README.md",
    ]
)
Function = ast.FunctionDef | ast.AsyncFunctionDef


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def functions(tree: ast.Module) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def documented(node: ast.AST) -> Iterator[ast.Module | ast.ClassDef | Function]:
    """A module and everything that has a public name in it, or in a public class."""
    if isinstance(node, ast.Module | ast.ClassDef):
        yield node
        for inner in node.body:
            if isinstance(inner, ast.ClassDef) and not inner.name.startswith("_"):
                yield from documented(inner)
            elif isinstance(inner, Function) and not inner.name.startswith("_"):
                yield inner


def place(path: Path, node: ast.AST) -> str:
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_reads_in_one_sitting(path: Path) -> None:
    tree = parse(path)
    assert len(path.read_text().splitlines()) <= MAX_MODULE_LINES
    operators = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, Function | ast.ClassDef) and node.name in OPERATORS
        for inner in ast.walk(node)
    }
    for function in functions(tree):
        if function.name in PUBLIC_INTERFACES or id(function) in operators:
            continue
        lines = (function.end_lineno or 0) - function.lineno + 1
        assert lines <= MAX_FUNCTION_LINES, place(path, function)
        arguments = function.args
        named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        named = [argument for argument in named if argument.arg not in ("self", "cls", "ctx", "_")]
        assert len(named) <= MAX_PARAMETERS, place(path, function)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_public_names_are_documented_in_sentences(path: Path) -> None:
    tree = parse(path)
    for node in documented(tree):
        overload = any(
            isinstance(item, ast.Name) and item.id == "overload"
            for item in getattr(node, "decorator_list", [])
        )
        forward = getattr(node, "name", "") == "forward"  # its class says what it computes
        if overload or forward:
            continue
        text = ast.get_docstring(node)
        assert text, f"{place(path, node)} has no docstring"
        assert not text.startswith("Of "), f"{place(path, node)}: a fragment"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_library_keeps_to_its_habits(path: Path) -> None:
    text = path.read_text()
    tree = parse(path)
    for node in ast.walk(tree):
        assert not isinstance(node, ast.Assert), f"{place(path, node)}: raise instead"
        if isinstance(node, ast.Name):
            assert node.id != "hasattr", f"{place(path, node)}: a missing type"
        if isinstance(node, ast.IfExp):
            branches = (node.test, node.body, node.orelse)
            assert not any(isinstance(branch, ast.IfExp) for branch in branches), (
                f"{place(path, node)}: a conditional inside a conditional"
            )
        if isinstance(node, ast.Attribute) and path.name not in INTERPRETERS_OF_PEERS:
            assert node.attr != "set_default_dtype", f"{place(path, node)}: global state"
    assert not UNWANTED_WORDS.search(text), f"{place(path, tree)}: {UNWANTED_WORDS.search(text)}"
    assert '"""Of ' not in text, f"{place(path, tree)}: a docstring that is a fragment"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_docstring_begins_with_a_sentence_in_one_line(path: Path) -> None:
    for node in ast.walk(parse(path)):
        if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            continue
        if isinstance(node.value.value, str):
            summary = node.value.value.partition("\n")[0]
            assert summary.endswith((".", ":")), f"{place(path, node)}: {summary}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_documents_do_without_unwanted_words(path: Path) -> None:
    assert not UNWANTED_WORDS.search(path.read_text())
