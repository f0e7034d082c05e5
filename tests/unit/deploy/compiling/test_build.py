"""Lowering, tracing, artefacts and the cache, with TorchScript programs of tiny models."""

from __future__ import annotations

import io
import json
import pickle
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
import structures
import torch
from models import random_model
from tolerances import ROUNDING, assert_close

from mhff import MHFFCalculator, MHFFError, Model
from mhff.atoms import graph_from_atoms
from mhff.evaluator import EagerEvaluator
from mhff.model.acceleration import use_operators
from mhff.model.mace import MACE
from mhff.opening import open_evaluator
from mhff.ops.ghosts import no_ghosts, owner_plan
from mhff_deploy.artefact.content import MEMBER, Manifest, checksum, read_manifest
from mhff_deploy.artefact.runtime import load_artefact
from mhff_deploy.compiling import build as build_module
from mhff_deploy.compiling.build import build
from mhff_deploy.compiling.cache import compiled
from mhff_deploy.compiling.targets import AOTI, TORCHSCRIPT, find_target
from mhff_deploy.compiling.trace import example_inputs, trace
from mhff_deploy.lowering.lower import pruned

SUBSET = ("O", "Mg")
SIZES = [(7, 5, 53), (1, 0, 0), (0, 0, 0), (2, 0, 1), (40, 90, 700)]
"""Numbers of local atoms, ghosts and edges."""


@pytest.fixture(scope="module", params=["mh1", "mp", "density", "omol"])
def model(request: pytest.FixtureRequest) -> Model:
    return random_model(request.param)


@pytest.fixture(scope="module")
def artefact(model: Model) -> bytes:
    content, _ = build(model, TORCHSCRIPT, head="surfaces", dtype="float64")
    return content


def with_operators(model: Model) -> MACE:
    """The model's network ready to trace, its radial networks kept."""
    network = pruned(model, None)
    use_operators(network)
    return network


def test_lowering_to_fewer_elements_is_exact(model: Model) -> None:
    network = pruned(model, SUBSET[::-1])
    assert network.config.elements == SUBSET
    atoms = structures.rattled_bulk()
    full, few = (
        graph_from_atoms(atoms, elements, model.r_max) for elements in (model.elements, SUBSET)
    )
    weights = torch.ones(len(atoms), 3, dtype=torch.float64)
    expected, _ = EagerEvaluator(model).evaluate(
        full.edge_vectors, full.edge_index, full.species, weights
    )
    assert_close(
        network(few.edge_vectors, few.edge_index, few.species, len(atoms)), expected, ROUNDING
    )


@pytest.mark.parametrize("elements", [["Fe"], ["Mg", "Xx"]])
def test_lowering_refuses_elements_that_the_model_lacks(model: Model, elements: list[str]) -> None:
    with pytest.raises(MHFFError, match=r"this model has no element .*it knows H, C, N, O, Mg"):
        pruned(model, elements)


def test_lowering_refuses_to_keep_no_elements(model: Model) -> None:
    with pytest.raises(
        MHFFError,
        match=r"expected elements, got none: this model knows H, C, N, O, Mg; choose among them",
    ):
        pruned(model, [])


def test_one_traced_graph_serves_every_size(model: Model) -> None:
    network = with_operators(model)
    program = trace(network)
    for n_local, n_ghosts, n_edges in SIZES:
        if n_local == 0:
            empty = torch.zeros(0, dtype=torch.int64)
            no_atoms = torch.zeros(0, 3).double()
            inputs = (
                no_atoms,
                empty.expand(2, 0),
                empty,
                no_atoms,
                no_ghosts(),
                torch.zeros(0, 2).double(),
            )
        else:
            inputs = example_inputs(
                3, torch.float64, torch.device("cpu"), n_local, n_ghosts, n_edges
            )
        energies, gradients = program(*inputs)
        assert energies.shape == (n_local, 3)
        assert gradients.shape == (n_edges, 3)
        expected = network(inputs[0], inputs[1], inputs[2], n_local, *inputs[4:])
        assert_close(energies, expected, ROUNDING)


def test_the_traced_graph_computes_nothing_that_depends_on_weights_only(model: Model) -> None:
    program = trace(with_operators(model))
    constants = {node for node in program.graph.nodes if node.op == "get_attr"}
    idle = [
        node
        for node in program.graph.nodes
        if node.op == "call_function"
        and node.all_input_nodes
        and set(node.all_input_nodes) <= constants
    ]
    assert not idle


def test_an_artefact_says_what_it_is(model: Model, artefact: bytes) -> None:
    manifest = read_manifest(artefact, "a")
    assert (manifest.form, manifest.default_head, manifest.dtype) == (
        "torchscript",
        "surfaces",
        "float64",
    )
    assert manifest.elements == model.elements
    assert [head.name for head in manifest.heads] == list(model.heads.names)
    assert manifest.torch_version == torch.__version__
    assert 0 < manifest.largest_errors["edge_gradients"] < 1e-8


def test_an_artefact_in_ase_equals_the_model(model: Model, artefact: bytes, tmp_path: Path) -> None:
    file = tmp_path / "program.pt"
    file.write_bytes(artefact)
    for make in (
        structures.triclinic,
        structures.tiny_cell,
        structures.one_atom,
        structures.far_apart,
    ):
        atoms = make()
        results = []
        for source, head in ((model, "surfaces"), (file, None)):
            atoms.calc = MHFFCalculator(source, head=head)
            results.append(
                (
                    atoms.get_potential_energies(),
                    atoms.get_forces(),
                    atoms.calc.results["head_energies"]["materials"],
                )
            )
        for expected, got in zip(*results, strict=True):
            assert_close(got, expected, ROUNDING)


def _outcome(content: bytes) -> Manifest | str:
    try:
        return read_manifest(content, "a.pt")
    except MHFFError as error:
        return str(error)


def test_damage_is_refused_in_one_sentence_or_does_not_matter(artefact: bytes) -> None:
    intact, refused = read_manifest(artefact, "a.pt"), 0
    for position in np.random.default_rng(0).integers(0, len(artefact), 60):
        damaged = bytearray(artefact)
        damaged[position] ^= 0xFF
        outcome = _outcome(bytes(damaged))
        if (
            outcome != intact
        ):  # not one of the bytes that zip archives carry twice or only for display
            refused += 1
            assert re.fullmatch(r"'a\.pt' .*compile it again.*", str(outcome))
    assert refused > 30


@pytest.mark.parametrize("length", [0, 4, 100, 10_000, -1])
def test_truncation_is_refused_in_one_sentence(artefact: bytes, length: int) -> None:
    with pytest.raises(MHFFError, match=r"truncated or not an artefact of mhff.*compile it again"):
        read_manifest(artefact[:length], "a.pt")


def _with_manifest(artefact: bytes, sign: bool = True, **changes: object) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(artefact)) as old, zipfile.ZipFile(stream, "w") as new:
        for info in old.infolist():
            content = old.read(info)
            if info.filename.endswith(MEMBER):
                fields = json.loads(content) | changes
                if sign and "program_sha256" not in changes:
                    fields["program_sha256"] = checksum(artefact, fields)
                content = json.dumps(fields).encode()
            new.writestr(info, content)
    return stream.getvalue()


@pytest.mark.parametrize(
    "changes",
    [{"elements": ["O", "Mg"]}, {"r_max": 8.0}, {"default_head": None}, {"program_sha256": ""}],
)
def test_an_edited_manifest_is_refused(artefact: bytes, changes: dict[str, object]) -> None:
    load_artefact(_with_manifest(artefact), "a.pt")
    with pytest.raises(
        MHFFError,
        match=r"'a\.pt' is damaged: its checksum does not fit its content; compile it again",
    ):
        load_artefact(_with_manifest(artefact, sign=False, **changes), "a.pt")


def test_members_that_inflate_are_not_read(artefact: bytes) -> None:
    stream = io.BytesIO(artefact)
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb", bytes(100_000_000))
    with pytest.raises(MHFFError, match=r"truncated or not an artefact of mhff \(members of"):
        load_artefact(stream.getvalue(), "a.pt")


def test_an_artefact_goes_to_another_process(artefact: bytes, tmp_path: Path) -> None:
    file = tmp_path / "a.pt"
    file.write_bytes(artefact)
    evaluator = open_evaluator(file)
    copy = pickle.loads(pickle.dumps(evaluator))
    inputs = example_inputs(3, torch.float64, torch.device("cpu"))
    for expected, got in zip(evaluator.evaluate(*inputs), copy.evaluate(*inputs), strict=True):
        assert torch.equal(got, expected)
    with pytest.raises(MHFFError, match="not opened from a file cannot be sent to another process"):
        pickle.dumps(load_artefact(artefact, "a.pt"))


@pytest.mark.parametrize(
    ("changes", "arguments", "sentence"),
    [
        ({"format_version": 1}, {}, "artefact format version 1, this mhff reads version 5"),
        ({"heads": "all"}, {}, "manifest that this mhff cannot read"),
        ({"torch_version": "1.0"}, {}, "compiled with torch 1.0, this is torch"),
        ({"device": "cuda"}, {"device": "cpu"}, "compiled for cuda, asked for cpu"),
        ({"dtype": "float32"}, {"dtype": "float64"}, "compiled in float32, asked for float64"),
    ],
)
def test_an_artefact_that_does_not_fit_is_refused(
    artefact: bytes, changes: dict[str, object], arguments: dict[str, str], sentence: str
) -> None:
    with pytest.raises(MHFFError, match=sentence):
        load_artefact(_with_manifest(artefact, **changes), "a.pt", **arguments)


def test_a_foreign_archive_is_no_artefact(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.pt"
    torch.save({"a": 1}, foreign)
    with pytest.raises(MHFFError, match="neither a model nor an artefact of mhff"):
        open_evaluator(foreign)


def test_a_wrong_program_is_not_written(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    original = build_module.lower

    def broken(*arguments):  # type: ignore[no-untyped-def]
        lowered = original(*arguments)
        lowered.network.layers[0].readout.weight.mul_(1.0 + 1e-6)
        return lowered

    monkeypatch.setattr(build_module, "lower", broken)
    with pytest.raises(
        MHFFError, match=r"the compiled program is wrong: its .* differ from the eager model"
    ):
        build(model, TORCHSCRIPT, dtype="float64")


def test_float32_programs_keep_energies_in_float64() -> None:
    model = random_model()
    content, manifest = build(model, TORCHSCRIPT, dtype="float32", elements=["Mg", "O"])
    assert manifest.elements == SUBSET
    evaluator = load_artefact(content, "a")
    energies, gradients = evaluator.evaluate(*example_inputs(3, torch.float64, torch.device("cpu")))
    assert (energies.dtype, gradients.dtype) == (torch.float64, torch.float32)


def test_the_cache_compiles_once_per_content(tmp_path: Path) -> None:
    model, steps = random_model(), []
    first = compiled(
        model, dtype="float64", form="torchscript", folder=tmp_path, progress=steps.append
    )
    assert steps
    assert (
        compiled(model, dtype="float64", form="torchscript", folder=tmp_path, progress=steps.clear)
        == first
    )
    assert len(list(tmp_path.iterdir())) == 1
    other = compiled(random_model(seed=1), dtype="float64", form="torchscript", folder=tmp_path)
    assert other != first


@pytest.mark.parametrize("name", ["aoti", "torchscript", "lammps", "openmm"])
def test_every_promised_target_exists(name: str) -> None:
    assert find_target(name).name == name


def test_unknown_choices_are_refused() -> None:
    model = random_model()
    with pytest.raises(
        MHFFError, match="unknown target 'gromacs': choose one of aoti, lammps, openmm, torchscript"
    ):
        find_target("gromacs")
    with pytest.raises(MHFFError, match="target 'aoti' does not take the form 'torchscript'"):
        build(model, AOTI, form="torchscript")
    with pytest.raises(
        MHFFError,
        match="unknown head 'dft': this model has the heads materials, surfaces, molecules",
    ):
        build(model, TORCHSCRIPT, head="dft")
    with pytest.raises(MHFFError, match="unknown dtype 'half'"):
        build(model, TORCHSCRIPT, dtype="half")
    with pytest.raises(MHFFError, match="unknown device 'abacus'"):
        build(model, TORCHSCRIPT, device="abacus")


def test_ghosts_of_the_program_follow_their_owners(model: Model, artefact: bytes) -> None:
    evaluator = load_artefact(artefact, "a")
    vectors, edge_index, species, weights, plan, _ = example_inputs(
        3, torch.float64, torch.device("cpu")
    )
    n_local = len(weights)
    ghosts = evaluator.evaluate(vectors, edge_index, species, weights, plan)
    owner = torch.cat([torch.arange(n_local), plan[1:]])
    folded = evaluator.evaluate(vectors, owner[edge_index], species[:n_local], weights)
    for expected, got in zip(folded, ghosts, strict=True):
        assert_close(got, expected, ROUNDING)
    swapped = owner_plan(plan[1:].flip(0))
    assert not torch.allclose(
        evaluator.evaluate(vectors, edge_index, species, weights, swapped)[0], ghosts[0]
    )
