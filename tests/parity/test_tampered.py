"""Sound files of which one part is changed: the import must refuse each of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from references import references

from mhff.errors import MHFFError
from mhff.interop.mace import importer
from mhff.interop.mace.generated import MACE_FORMAT
from mhff.interop.torchfile.archive import read_content
from mhff.interop.torchfile.modules import ModuleRecord, read_model
from mhff.interop.torchfile.pickled import Global

Change = Callable[[ModuleRecord], ModuleRecord]


@pytest.fixture(scope="module")
def root() -> ModuleRecord:
    """A small model with the architecture of mace-mh-1."""
    return read_model(read_content(references().file("mh1")), MACE_FORMAT)


def at(path: str, change: Change) -> Change:
    """The same model with the module at a dotted path changed."""

    def apply(module: ModuleRecord) -> ModuleRecord:
        name, _, rest = path.partition(".")
        child = at(rest, change)(module.children[name]) if rest else change(module.children[name])
        return dataclasses.replace(module, children={**module.children, name: child})

    return apply if path else change


def attribute(name: str, value: Any) -> Change:
    return lambda module: dataclasses.replace(module, attributes={**module.attributes, name: value})


def parameter(name: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Change:
    return lambda module: dataclasses.replace(
        module, parameters={**module.parameters, name: change(module.parameters[name].clone())}
    )


def buffer(name: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Change:
    return lambda module: dataclasses.replace(
        module, buffers={**module.buffers, name: change(module.buffers[name].clone())}
    )


def without(name: str) -> Change:
    return lambda module: dataclasses.replace(
        module, children={key: child for key, child in module.children.items() if key != name}
    )


def class_path(value: str) -> Change:
    return lambda module: dataclasses.replace(module, class_path=value)


def couplings(change: Callable[[torch.Tensor], torch.Tensor]) -> Change:
    def changed(module: ModuleRecord) -> ModuleRecord:
        tensors = {name: change(value.clone()) for name, value in module.script_tensors.items()}
        return dataclasses.replace(module, script_tensors=tensors)

    return changed


def perturbed(values: torch.Tensor) -> torch.Tensor:
    values = values.contiguous()
    values.view(-1)[values.abs().argmax()] += 1e-3
    return values


def with_nan(values: torch.Tensor) -> torch.Tensor:
    values.view(-1)[0] = float("nan")
    return values


CONTRACTION = "products.0.symmetric_contractions.contractions"
CHANGES: dict[str, tuple[Change, str]] = {
    "an unknown block": (
        at("interactions.0", class_path("mace.modules.blocks.RealAgnosticNewInteractionBlock")),
        "parts that mhff does not know: mace.modules.blocks.RealAgnosticNewInteractionBlock",
    ),
    "a class of somebody else": (
        at("products.0.linear", class_path("loralib.Linear")),
        "does not know: loralib.Linear",
    ),
    "another model class": (
        class_path("mace.modules.models.AtomicDipolesMACE"),
        "does not know: .*AtomicDipolesMACE",
    ),
    "an unknown setting of the model": (
        attribute("use_magic", True),
        "settings that mhff does not know: use_magic",
    ),
    "an unknown setting of a block": (
        at("interactions.1", attribute("damping", 0.5)),
        r"interactions\.1 has settings that mhff does not know: damping",
    ),
    "another library's layout": (
        at("products.0", attribute("cueq_config", {"enabled": True})),
        "layout of another library",
    ),
    "an extra tensor": (
        lambda module: dataclasses.replace(
            module, buffers={**module.buffers, "bias": torch.ones(2)}
        ),
        "tensors that mhff does not know: bias",
    ),
    "a missing module": (
        at("interactions.1", without("linear_res")),
        r"has no module interactions\.1\.linear_res",
    ),
    "weights that are not finite": (
        at("node_embedding.linear", parameter("weight", with_nan)),
        "node_embedding.linear.weight has numbers that are not finite",
    ),
    "too few weights": (
        at("interactions.0.linear_up", parameter("weight", lambda value: value[:-1])),
        r"linear_up\.weight has \d+ numbers, but needs more",
    ),
    "too many weights": (
        at(
            "interactions.0.linear_up", parameter("weight", lambda value: torch.cat([value, value]))
        ),
        r"linear_up\.weight has \d+ numbers, but needs \d+",
    ),
    "a basis that does not turn": (
        at(f"{CONTRACTION}.1", buffer("U_matrix_3", perturbed)),
        r"contractions\.1\.U_matrix_3 is not a basis of functions of degree 1",
    ),
    "coupling tensors that are off": (
        at("interactions.1.conv_tp", couplings(perturbed)),
        "coupling tensor of .* is off by",
    ),
    "coupling tensors that are missing": (
        at("interactions.1.conv_tp", lambda module: dataclasses.replace(module, script_tensors={})),
        "it lacks coupling tensors of",
    ),
    "another activation": (
        at(
            "readouts.1.non_linearity.acts.0", attribute("f", Global("torch.nn.functional", "gelu"))
        ),
        "has the function",
    ),
    "another factor of an activation": (
        at("readouts.1.non_linearity.acts.0", attribute("cst", 1.5)),
        "its silu has the factor 1.5",
    ),
    "two factors of one activation": (
        at("interactions.0.equivariant_nonlin", attribute("_scalar_cst", 1.6791)),
        "several factors for silu",
    ),
    "another cutoff of the envelope": (
        at("radial_embedding.cutoff_fn", buffer("r_max", lambda value: value + 1)),
        "its envelope ends at",
    ),
    "two tables of radii": (
        at("pair_repulsion_fn", buffer("covalent_radii", lambda value: 2 * value)),
        "two tables of covalent radii",
    ),
    "layers with different neighbours": (
        at("interactions.1", attribute("avg_num_neighbors", 3.0)),
        "different avg_num_neighbors",
    ),
    "features without parity": (attribute("use_so3", True), "features without parity"),
    "a degree that is left out": (
        at("interactions.1", attribute("target_irreps", "8x0e+8x1o+8x2e")),
        r"target_irreps is 8x0e\+8x1o\+8x2e, but mhff's layout would be 8x0e\+8x1o\+8x2e\+8x3o",
    ),
    "elements out of order": (
        buffer("atomic_numbers", lambda value: value.flip(0)),
        "elements: .*ascending atomic number",
    ),
    "one head too many": (attribute("heads", ["a", "b", "c", "d", "e"]), "E0s for 5 heads"),
    "heads without names": (attribute("heads", [1, 2, 3, 4]), "its heads are not names"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_part_is_refused(
    name: str, root: ModuleRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    change, sentence = CHANGES[name]
    monkeypatch.setattr(importer, "read_model", lambda content, kind: change(root))
    with pytest.raises(MHFFError, match=sentence) as raised:
        importer.import_model(references().file("mh1"))
    assert "\n" not in str(raised.value)
    assert "mh1.model" in str(raised.value)


def test_the_unchanged_model_is_imported(
    root: ModuleRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    unchanged = at("interactions.0", lambda module: module)(root)
    monkeypatch.setattr(importer, "read_model", lambda content, kind: unchanged)
    imported = importer.import_model(references().file("mh1"))
    assert not imported.warnings
    assert len(imported.model.heads) == 4
