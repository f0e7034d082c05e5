"""The import of a whole model: the same energies for every architecture, or one sentence."""

from __future__ import annotations

import dataclasses
import random
import resource
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from mace_record import mace_record
from models import CONFIGS, HEADS, random_model
from structures import triclinic
from tolerances import ROUNDING, assert_close

from mhff.calculator import MHFFCalculator
from mhff.errors import MHFFError
from mhff.files import sha256
from mhff.interop.mace import importer
from mhff.interop.torchfile.modules import ModuleRecord
from mhff.modelfile import Model

Change = Callable[[ModuleRecord], ModuleRecord]
CONTENT = b"PK\x03\x04 and so on"
"""Content of the file, in whose place a record is read."""
MAX_SECONDS = 5.0
MAX_MEMORY = 200_000
"""KiB that an import may take."""
N_FUZZED = 60
"""Changed models per architecture."""


@cache
def double_model(name: str) -> Model:
    model = random_model(name)
    model.network.double()
    return model


@cache
def record(name: str) -> ModuleRecord:
    return mace_record(double_model(name))


Import = Callable[[ModuleRecord], importer.Imported]


@pytest.fixture
def import_record(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Import:
    """Import a record as though it had been read from the file `x.model`."""

    def imported(root: ModuleRecord) -> importer.Imported:
        path = tmp_path / "x.model"
        path.write_bytes(CONTENT)
        monkeypatch.setattr(importer, "read_model", lambda content, kind: root)
        return importer.import_model(path)

    return imported


def energies(model: Model) -> list[float]:
    """Energies of a structure with every head, eV."""
    calculator = MHFFCalculator(model, head=HEADS[0], form="eager", dtype="float64")
    atoms = triclinic()
    atoms.calc = calculator
    atoms.get_potential_energy()
    return [calculator.results["head_energies"][head] for head in HEADS]


@pytest.mark.parametrize("name", CONFIGS)
def test_every_architecture_gives_the_same_energies(name: str, import_record: Import) -> None:
    found = import_record(record(name)).model
    assert_close(energies(found), energies(double_model(name)), ROUNDING)


def test_the_bytes_that_were_read_are_in_the_provenance(import_record: Import) -> None:
    provenance = import_record(record("mh1")).model.provenance
    assert provenance["sha256_of_file"] == sha256(CONTENT)
    assert provenance["imported_from"] == "x.model"
    assert provenance["class"] == "mace.modules.models.ScaleShiftMACE"


# changes of one part


def at(path: str, change: Change) -> Change:
    """The same model with the module at a dotted path changed."""

    def apply(module: ModuleRecord) -> ModuleRecord:
        name, _, rest = path.partition(".")
        child = at(rest, change)(module.children[name]) if rest else change(module.children[name])
        return dataclasses.replace(module, children={**module.children, name: child})

    return apply if path else change


def attribute(name: str, value: Any) -> Change:
    return lambda module: dataclasses.replace(module, attributes={**module.attributes, name: value})


def tensor(name: str, value: Any) -> Change:
    return lambda module: dataclasses.replace(
        module, buffers={**module.buffers, name: torch.as_tensor(value)}
    )


def specification(**fields: Any) -> Change:
    """Changed settings of the embedding of the charge."""

    def change(module: ModuleRecord) -> ModuleRecord:
        specs = module.attributes["embedding_specs"]
        specs = {**specs, "total_charge": specs["total_charge"] | fields}
        return attribute("embedding_specs", specs)(module)

    return change


def tiny_cutoff(module: ModuleRecord) -> ModuleRecord:
    module = at("radial_embedding.cutoff_fn", tensor("r_max", 1e-300))(module)
    return tensor("r_max", 1e-300)(module)


def strange_readouts(module: ModuleRecord) -> ModuleRecord:
    """Names of readouts that are not numbers."""
    readouts = module.children["readouts"]
    renamed = {f"x{name}": child for name, child in readouts.children.items()}
    readouts = dataclasses.replace(readouts, children=renamed)
    return dataclasses.replace(module, children={**module.children, "readouts": readouts})


CONTRACTION = "products.0.symmetric_contractions.contractions.0"
TWO = torch.tensor([1.0, 2.0])
ESCAPE = "\x1b[2J"
CHANGES: dict[str, tuple[str, Change, str]] = {
    "1e8 layers": (
        "mp",
        tensor("num_interactions", 100_000_000),
        "layers, but mhff knows up to 16",
    ),
    "no layers": ("mp", tensor("num_interactions", 0), "an integer from 1 for num_interactions"),
    "half a layer": ("mp", tensor("num_interactions", 2.5), "an integer for num_interactions"),
    "a fractional envelope": (
        "mp",
        at("radial_embedding.cutoff_fn", tensor("p", 5.5)),
        "an integer for radial_embedding.cutoff_fn.p",
    ),
    "atomic numbers of two dimensions": (
        "mp",
        tensor("atomic_numbers", [[1, 6]]),
        r"its atomic numbers have the shape \[1, 2\]",
    ),
    "atomic numbers without a dimension": ("mp", tensor("atomic_numbers", 1), r"the shape \[\]"),
    "many atomic numbers": ("mp", tensor("atomic_numbers", [1] * 1000), r"the shape \[1000\]"),
    "fractional atomic numbers": (
        "mp",
        tensor("atomic_numbers", [1.0, 6.5]),
        "an integer for an atomic number, got '6.5'",
    ),
    "negative atomic numbers": ("mp", tensor("atomic_numbers", [-1, 6]), "atomic numbers -1"),
    "a tiny cutoff": ("mp", tiny_cutoff, "r_max: Input should be greater than or equal to 0.1"),
    "hs holding lists": (
        "mp",
        at("interactions.0.conv_tp_weights", attribute("hs", [8, [64], 64])),
        "a number for interactions.0.conv_tp_weights.hs",
    ),
    "hs that is text": (
        "mp",
        at("interactions.0.conv_tp_weights", attribute("hs", "8, 64")),
        "a list of integers",
    ),
    "U without paths": (
        "mp",
        at(CONTRACTION, tensor("U_matrix_1", torch.zeros(16, 0))),
        "U_matrix_1 has 0 paths",
    ),
    "U with too many paths": (
        "mp",
        at(CONTRACTION, tensor("U_matrix_1", torch.zeros(16, 10**5))),
        "U_matrix_1 has 100000 paths",
    ),
    "U without axes": ("mp", at(CONTRACTION, tensor("U_matrix_1", 1.0)), "U_matrix_1 has 0 paths"),
    "a correlation that is text": (
        "mp",
        at(CONTRACTION, attribute("correlation", "3")),
        "a number for .*correlation, got '3'",
    ),
    "embedding specs that are text": (
        "omol",
        attribute("embedding_specs", "x"),
        "not a dictionary",
    ),
    "a specification that is None": (
        "omol",
        attribute("embedding_specs", {"total_charge": None}),
        "the embedding of its total_charge has no settings",
    ),
    "a specification that is text": (
        "omol",
        attribute("embedding_specs", {"total_charge": "x"}),
        "the embedding of its total_charge has no settings",
    ),
    "a kind that is a tensor": ("omol", specification(type=TWO), "total_charge is tensor"),
    "components in a tensor": ("omol", specification(in_dim=TWO), "a number for total_charge.in_"),
    "a width that is None": (
        "omol",
        specification(emb_dim=None),
        "number for total_charge.emb_dim",
    ),
    "heads in a tensor": ("mp", attribute("heads", TWO), "its heads are not names"),
    "heads with control characters": (
        "mp",
        attribute("heads", [ESCAPE, "b", "c"]),
        "its heads are not names",
    ),
    "a head twice": ("mp", attribute("heads", ["a", "a", "b"]), "each head once"),
    "a flag in a tensor": (
        "mp",
        at("radial_embedding", attribute("apply_cutoff", TWO)),
        "a number for radial_embedding.apply_cutoff",
    ),
    "empty irreps": (
        "mp",
        at("interactions.0", attribute("hidden_irreps", "")),
        "interactions.0.hidden_irreps is empty",
    ),
    "no hidden features for no heads": (
        "mp",
        at("readouts.1", attribute("num_heads", 0)),
        "an integer from 1 for readouts.1.num_heads",
    ),
    "neighbours that are not a number": (
        "mp",
        at("interactions.0", attribute("avg_num_neighbors", float("nan"))),
        "a finite number for interactions.0.avg_num_neighbors",
    ),
    "a norm's eps in a tensor": (
        "mh1",
        at("interactions.0.conv_tp_weights.net.1", attribute("eps", TWO)),
        "a number for",
    ),
    "a class with control characters": (
        "mp",
        lambda module: dataclasses.replace(module, class_path=f"mace.modules.models.{ESCAPE}"),
        r"mace.modules.models.\\x1b\[2J",
    ),
    "readouts with strange names": ("mp", strange_readouts, "no module readouts.0"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_changed_part_is_refused(case: str, import_record: Import) -> None:
    name, change, sentence = CHANGES[case]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    with pytest.raises(MHFFError, match=sentence) as raised:
        import_record(change(record(name)))
    assert time.process_time() - start < MAX_SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MAX_MEMORY
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 600


ODD_VALUES = (
    *(None, True, False, 0, 1, -1, 2**62, 0.5, float("nan"), float("inf"), "", "x", ESCAPE, b"x"),
    *([], [1], [[]], (), (1, 2), {}, {"a": 1}, {"x"}, TWO, torch.zeros(0), torch.tensor(3)),
    *("0e", "3x0e+3x1o", torch.zeros(2, 2, 2), torch.tensor(True)),
)


def places(module: ModuleRecord, path: str = "") -> Iterator[tuple[str, str, str]]:
    """Path, kind and name of every attribute and tensor of a model."""
    for name in module.attributes:
        yield path, "attribute", name
    for name in module.buffers:
        yield path, "tensor", name
    for name, child in module.children.items():
        yield from places(child, f"{path}.{name}" if path else name)


def oddities(name: str) -> Iterator[tuple[str, Change]]:
    """Every attribute and tensor of a model with every odd value."""
    for path, kind, field in places(record(name)):
        for value in ODD_VALUES:
            if kind == "attribute":
                yield f"{path}.{field} = {value!r}", at(path, attribute(field, value))
            elif isinstance(value, torch.Tensor | int | float):
                yield f"{path}.{field} = {value!r}", at(path, tensor(field, value))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mh1", "density", "omol"])
def test_odd_values_are_imported_or_refused(name: str, import_record: Import) -> None:
    every = list(oddities(name))
    refused = 0
    for case, change in random.Random(1).sample(every, N_FUZZED):
        try:
            import_record(change(record(name)))
        except MHFFError:
            refused += 1
        except Exception as error:
            raise AssertionError(f"{case} is a {type(error).__name__}") from error
    assert refused > N_FUZZED / 2
