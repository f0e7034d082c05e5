"""The last layer's features of l > 0, which some models keep (`keep_last_layer_irreps`): left out.

Nothing follows the last layer but its readout, which reads scalars, and the maps before it mix no
degrees. So the weights of these features change no energy, and the model without them is the same.
"""

from __future__ import annotations

from dataclasses import replace

from mhff.interop.mace.architecture import BLOCKS
from mhff.interop.mace.irreps import Irreps, irreps, natural, words
from mhff.interop.mace.linear_maps import weight_blocks
from mhff.interop.mace.refusals import expect
from mhff.interop.mace.rewriting import (
    Change,
    Rewritten,
    changed_at,
    own_tensor,
    part,
    with_attributes,
    with_tensor,
)
from mhff.interop.torchfile.modules import ModuleRecord

NOTE = "features of l > 0 after the last layer left out: no energy depends on them"


def without_unused_features(root: ModuleRecord) -> Rewritten:
    """The model whose last layer gives scalars only; raises UnknownModelError for odd maps."""
    interactions = root.children.get("interactions")
    last = str(len(interactions.children) - 1) if interactions else "0"
    if interactions is None or last == "0" or last not in interactions.children:
        return Rewritten(root)
    block = interactions.children[last]
    output = irreps(block.attributes.get("hidden_irreps", ""))
    if len(output) < 2 or output != natural(output[0][0], len(output) - 1):
        return Rewritten(root)
    scalars = natural(output[0][0], 0)
    changes: dict[str, Change] = {
        f"interactions.{last}": lambda found: with_attributes(found, hidden_irreps=words(scalars)),
        f"products.{last}.symmetric_contractions": lambda found: _scalar_contraction(
            found, output, scalars
        ),
        f"products.{last}.linear": lambda found: _scalar_map(found, output, scalars),
    }
    if block.class_name in BLOCKS and BLOCKS[block.class_name].is_residual:
        changes[f"interactions.{last}.skip_tp"] = lambda found: _scalar_map(found, output, scalars)
    for path, change in changes.items():
        root = changed_at(root, path, change)
    return Rewritten(root, (NOTE,))


def _expect_output(module: ModuleRecord, output: Irreps) -> None:
    found = irreps(module.attributes.get("irreps_out"))
    expect(
        found == output,
        f"{module.path}.irreps_out is {words(found)}, but its layer gives {words(output)}",
    )


def _scalar_contraction(module: ModuleRecord, output: Irreps, scalars: Irreps) -> ModuleRecord:
    """A symmetric contraction that gives scalars only."""
    _expect_output(module, output)
    contractions = part(module, "contractions")
    expect(
        len(contractions.children) == len(output),
        f"{module.path} has {len(contractions.children)} contractions for {len(output)} irreps",
    )
    kept = {name: child for name, child in contractions.children.items() if name == "0"}
    kept_contractions = replace(contractions, children=kept)
    children = {**module.children, "contractions": kept_contractions}
    return with_attributes(replace(module, children=children), irreps_out=words(scalars))


def _scalar_map(module: ModuleRecord, output: Irreps, scalars: Irreps) -> ModuleRecord:
    """An equivariant linear map that gives scalars only; its first block is theirs."""
    _expect_output(module, output)
    mixes_by_element = "irreps_in2" in module.attributes
    inputs = irreps(module.attributes.get("irreps_in1" if mixes_by_element else "irreps_in"))
    n_sets = 1
    if mixes_by_element:
        elements = irreps(module.attributes["irreps_in2"])
        expect(len(elements) == 1, f"{module.path} does not mix by element")
        n_sets = elements[0][0]
    blocks = weight_blocks(own_tensor(module, "weight"), inputs, output, module.path, n_sets)
    own = [block for (_, position), block in blocks.items() if position == 0]
    expect(len(own) == 1, f"{module.path} has {len(own)} inputs of scalars, but needs 1")
    return with_attributes(
        with_tensor(module, "weight", own[0].reshape(-1)), irreps_out=words(scalars)
    )
