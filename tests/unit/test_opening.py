"""The one road from a model to an evaluator: what runs when, what is said, what is read."""

from __future__ import annotations

import copy
import json
import logging
import pickle
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import structures
import torch
from ase import Atoms
from manifests import empty_artefact, manifest
from models import tiny_model
from programs import options
from tolerances import ROUNDING, assert_close

from mhff import MHFFError, Model, load, opening
from mhff.atoms import graph_from_atoms
from mhff.capabilities import model_capabilities
from mhff.errors import NoCompilerError, TooManyElementsError
from mhff.evaluator import EagerEvaluator, Evaluator
from mhff.filekinds import SourceFile
from mhff.graph import Graph
from mhff.model import mace
from mhff.opening import COMPILING, open_evaluator, read_capabilities
from mhff.options import CompileOptions, Precision
from mhff_deploy.lowering.pruning import pruned
from mhff_lammps.filekind import wrap

N_EAGER = 3
"""Evaluations of water that the eager model serves before a program is compiled, in these tests."""
Results = tuple[torch.Tensor, torch.Tensor]


class Program(EagerEvaluator):
    """What stands for a compiled program of some elements; its numbers are the model's."""

    def __init__(self, model: Model, elements: Sequence[str], most: int | None = None) -> None:
        """`most`: number of elements at a time for which it has room."""
        few = Model(pruned(model, list(elements)), model.heads)
        super().__init__(few)
        self.most = most

    def evaluate(self, graph: Graph, head_weights: torch.Tensor) -> Results:
        self.check_number(len(graph.species.unique()))
        return super().evaluate(graph, head_weights)

    def prepare(self, symbols: Sequence[str]) -> None:
        self.check_number(len(set(symbols)))

    def check_number(self, n_elements: int) -> None:
        if self.most is not None and n_elements > self.most:
            raise TooManyElementsError(f"got {n_elements}")


class Compiler:
    """A compiler that is done at once, and remembers what it was asked for."""

    def __init__(self, folder: Path, model: Model) -> None:
        self.folder = folder
        self.model = model
        self.for_elements_in_use = False
        self.failure: MHFFError | None = None
        self.compiled: list[tuple[str, ...]] = []
        self.most_elements_in_tables: int | None = None
        self.table_errors: list[float | None] = []

    def path(self, used: Sequence[str]) -> Path:
        return self.folder / ("-".join(self.elements(used)) + ".json")

    def elements(self, used: Sequence[str]) -> tuple[str, ...]:
        if not self.for_elements_in_use:
            return self.model.elements
        return tuple(element for element in self.model.elements if element in used)

    def find(self, model: Model, options: CompileOptions, used: Sequence[str]) -> Path | None:
        path = self.path(used)
        return path if path.exists() else None

    def compile(
        self,
        model: Model,
        options: CompileOptions,
        used: Sequence[str],
        say: Callable[[str], None],
    ) -> Path:
        if self.failure is not None:
            raise self.failure
        self.table_errors.append(options.table_error)
        path = self.path(used)
        if not path.exists():
            say("tracing")
            say("compiling")
            self.compiled.append(self.elements(used))
            path.write_text(json.dumps(self.elements(used)))
        return path

    def open(self, file: SourceFile, options: CompileOptions) -> Evaluator:
        keeps_networks = self.table_errors[-1:] == [0.0]
        most = None if keeps_networks else self.most_elements_in_tables
        return Program(self.model, json.loads(file.content), most)


@pytest.fixture(scope="module")
def model() -> Model:
    return tiny_model()


@pytest.fixture
def compiler(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Compiler:
    made = Compiler(tmp_path, model)
    monkeypatch.setattr(opening, "compiler", lambda: made)
    n_edges = graph_of(model, structures.water_cluster()).edge_index.shape[1]
    work = n_edges * model.network.config.n_channels
    monkeypatch.setattr(opening, "EAGER_WORK", N_EAGER * work)
    return made


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """What was logged so far."""
    caplog.set_level(logging.INFO, logger="mhff")
    return lambda: [record.getMessage() for record in caplog.records if record.name == "mhff"]


def graph_of(model: Model, atoms: Atoms) -> Graph:
    return graph_from_atoms(atoms, model.elements, model.r_max)


def evaluated(evaluator: Evaluator, model: Model, atoms: Atoms) -> Results:
    graph = graph_of(model, atoms)
    return evaluator.evaluate(graph, torch.ones(graph.n_local, 3, dtype=torch.float64))


def assert_right(evaluator: Evaluator, model: Model, atoms: Atoms) -> None:
    expected = evaluated(EagerEvaluator(model), model, atoms)
    for found, right in zip(evaluated(evaluator, model, atoms), expected, strict=True):
        assert_close(found, right, ROUNDING)


class TestDefaultForm:
    def test_a_few_evaluations_do_not_wait_for_a_compiler(
        self, model: Model, compiler: Compiler, said: Callable[[], list[str]]
    ) -> None:
        evaluator = open_evaluator(model)
        for _ in range(N_EAGER):
            assert_right(evaluator, model, structures.water_cluster())
        assert compiler.compiled == []
        assert said() == []

    def test_then_the_model_is_compiled_once_and_one_line_says_so(
        self, model: Model, compiler: Compiler, said: Callable[[], list[str]]
    ) -> None:
        evaluator = open_evaluator(model)
        for _ in range(N_EAGER + 4):
            assert_right(evaluator, model, structures.water_cluster())
        assert compiler.compiled == [model.elements]
        assert said() == [COMPILING]

    def test_a_program_in_the_cache_is_taken_at_once(
        self, model: Model, compiler: Compiler, said: Callable[[], list[str]]
    ) -> None:
        compiler.compile(model, options(), model.elements, lambda step: None)
        evaluator = open_evaluator(model)
        assert_right(evaluator, model, structures.water_cluster())
        assert isinstance(evaluator._program, Program)  # type: ignore[attr-defined]
        assert said() == []

    def test_where_nothing_compiles_one_line_says_so_and_the_eager_model_runs(
        self, model: Model, compiler: Compiler, said: Callable[[], list[str]]
    ) -> None:
        for failure in (
            NoCompilerError("found neither g++ nor clang++"),
            MHFFError("the C++ compiler could not make the kernels"),
        ):
            compiler.failure = failure
            evaluator = open_evaluator(model)
            before = len(said())
            for _ in range(N_EAGER + 4):
                assert_right(evaluator, model, structures.water_cluster())
            assert said()[before:] == [f"the model runs in its slower eager form: {failure}"]

    def test_preparing_compiles_now(self, model: Model, compiler: Compiler) -> None:
        evaluator = open_evaluator(model)
        evaluator.prepare(["O", "H"])
        assert compiler.compiled == [model.elements]
        assert_right(evaluator, model, structures.water_cluster())

    def test_threads_compile_once(self, model: Model, compiler: Compiler) -> None:
        evaluator = open_evaluator(model)
        water = structures.water_cluster()
        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(lambda _: evaluated(evaluator, model, water), range(40)))
        assert compiler.compiled == [model.elements]
        for energies, gradients in results:
            assert_close(energies, results[0][0], ROUNDING)
            assert_close(gradients, results[0][1], ROUNDING)

    def test_copies_give_the_same_numbers(self, model: Model, compiler: Compiler) -> None:
        evaluator = open_evaluator(model)
        for twin in (copy.deepcopy(evaluator), pickle.loads(pickle.dumps(evaluator))):
            assert_right(twin, model, structures.water_cluster())


class TestElementsInUse:
    """Where tables for all elements would be too large, programs are for those in use."""

    def test_new_elements_are_added(
        self, model: Model, compiler: Compiler, said: Callable[[], list[str]]
    ) -> None:
        compiler.for_elements_in_use = True
        evaluator = open_evaluator(model, options(form="aoti"))
        assert_right(evaluator, model, structures.water_cluster())
        assert_right(evaluator, model, structures.rattled_bulk())
        assert_right(evaluator, model, structures.water_cluster())
        assert_right(evaluator, model, structures.one_atom())
        assert compiler.compiled == [("H", "O"), ("H", "O", "Mg")]
        assert said() == [COMPILING, COMPILING]

    @pytest.mark.parametrize("form", [None, "aoti"])
    def test_a_copy_runs_the_same_program(
        self, model: Model, compiler: Compiler, form: str | None
    ) -> None:
        """Also for structures of fewer elements, for which it would compile another."""
        compiler.for_elements_in_use = True
        evaluator = open_evaluator(model, options(form=form))
        evaluator.prepare(["Mg", "H", "O"])
        twin = pickle.loads(pickle.dumps(evaluator))
        assert_right(twin, model, structures.water_cluster())
        assert twin.is_ready(["H", "O", "Mg"])
        assert compiler.compiled == [("H", "O", "Mg")]

    @pytest.mark.parametrize("prepared", [True, False])
    def test_too_many_for_tables_take_a_program_that_keeps_the_networks(
        self, model: Model, compiler: Compiler, prepared: bool
    ) -> None:
        compiler.most_elements_in_tables = 2
        evaluator = open_evaluator(model, options(form="aoti"))
        assert_right(evaluator, model, structures.rattled_bulk())
        assert compiler.table_errors == [None]
        if prepared:
            evaluator.prepare(["H", "O", "Mg"])
        assert_right(evaluator, model, structures.slab())
        assert_right(evaluator, model, structures.rattled_bulk())
        assert compiler.table_errors == [None, 0.0]

    def test_wrong_species_are_refused_whatever_the_program_knows(
        self, model: Model, compiler: Compiler
    ) -> None:
        compiler.for_elements_in_use = True
        evaluator = open_evaluator(model, options(form="aoti"))
        graph = graph_of(model, structures.water_cluster())
        graph.species[0] = 5
        with pytest.raises(MHFFError, match="species contains 5, but valid indices are 0 to 4"):
            evaluator.evaluate(graph, torch.ones(9, 3, dtype=torch.float64))


class TestFormsByName:
    def test_eager_asks_no_compiler(self, model: Model, compiler: Compiler) -> None:
        compiler.compile(model, options(), model.elements, lambda step: None)
        evaluator = open_evaluator(model, options(form="eager"))
        assert isinstance(evaluator, EagerEvaluator)
        assert not isinstance(evaluator, Program)

    def test_others_are_compiled_at_the_first_evaluation(
        self, model: Model, compiler: Compiler
    ) -> None:
        evaluator = open_evaluator(model, options(form="torchscript"))
        assert compiler.compiled == []
        assert_right(evaluator, model, structures.water_cluster())
        assert compiler.compiled == [model.elements]

    def test_what_was_asked_for_is_not_replaced(self, model: Model, compiler: Compiler) -> None:
        compiler.failure = NoCompilerError("found neither g++ nor clang++")
        evaluator = open_evaluator(model, options(form="aoti"))
        with pytest.raises(NoCompilerError, match="neither"):
            evaluated(evaluator, model, structures.water_cluster())


class TestCapabilities:
    @pytest.fixture
    def no_network(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def build(*arguments: Any, **named: Any) -> None:
            raise AssertionError("a network is built only to read what a file can do")

        monkeypatch.setattr(mace.MACE, "__init__", build)

    def test_of_a_file_without_building_a_network(
        self, model: Model, tmp_path: Path, request: pytest.FixtureRequest
    ) -> None:
        path = tmp_path / "M.mhff"
        model.save(path)
        sources = (path, "mini")
        expected = [read_capabilities(load(source)) for source in sources]
        assert expected[0].elements == model.elements
        request.getfixturevalue("no_network")
        with pytest.raises(AssertionError):
            load(path)
        assert [read_capabilities(source) for source in sources] == expected

    @pytest.mark.usefixtures("no_network")
    def test_of_programs_without_loading_them(self, tmp_path: Path) -> None:
        content = empty_artefact()
        for name, written in (("a.pt2", content), ("a.mliap", wrap(content))):
            (tmp_path / name).write_bytes(written)
            assert read_capabilities(tmp_path / name) == manifest().capabilities

    def test_of_evaluators(self, model: Model) -> None:
        asked = options(precision="float32")
        found = read_capabilities(open_evaluator(model, asked))
        config = model.network.config
        assert found == model_capabilities(config, model.heads, Precision.FLOAT32)

    def test_files_of_no_known_kind_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("hello")
        with pytest.raises(MHFFError, match=r"notes\.txt' is not an mhff file; expected one of: "):
            read_capabilities(tmp_path / "notes.txt")
