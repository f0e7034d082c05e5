"""The forms in which a model can be stored, brought to the plain one before it is read.

The plain form is the one in which mace-torch's training writes its models. Each other form is
rewritten without a change of the numbers that the model gives.
"""

from __future__ import annotations

from mhff.interop.mace.adapters import with_merged_adapters
from mhff.interop.mace.cuequivariance import in_e3nn_layout
from mhff.interop.mace.last_layer import without_unused_features
from mhff.interop.mace.rewriting import Rewritten
from mhff.interop.torchfile.modules import ModuleRecord

STEPS = (in_e3nn_layout, with_merged_adapters, without_unused_features)


def plain_form(root: ModuleRecord) -> Rewritten:
    """A model in the plain form; raises UnknownModelError for parts that do not fit together."""
    notes: tuple[str, ...] = ()
    for step in STEPS:
        rewritten = step(root)
        root = rewritten.root
        notes += rewritten.notes
    return Rewritten(root, notes)
