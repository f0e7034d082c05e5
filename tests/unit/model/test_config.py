"""Senseless architectures are refused in one sentence; sound ones describe each layer."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from mhff.interop.mace.architecture import BLOCKS
from mhff.model.config import Block, ModelConfig


def config(**settings: Any) -> ModelConfig:
    return ModelConfig(**{"elements": ("H", "O"), "n_channels": 8, "n_edge_channels": 4} | settings)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"hidden_lmax": 4}, r"hidden_lmax \(4\) cannot exceed l_max \(3\)"),
        ({"edge_lmax": 2}, r"edge_lmax \(2\) cannot exceed hidden_lmax \(1\)"),
        ({"correlation": (3, 2, 1)}, r"expected one correlation or one per layer \(2\), got 3"),
        ({"correlation": 5}, "less than or equal to 4"),
        ({"last_readout_only": True, "n_layers": 1}, "last_readout_only needs two layers or more"),
        ({"state_readout": True}, "state_readout needs state_embeddings"),
        (
            {
                "state_embeddings": [{"quantity": "total_spin", "kind": "continuous", "width": 2}]
                * 2
            },
            "expected each quantity once in state_embeddings, got total_spin, total_spin",
        ),
        (
            {"state_embeddings": [{"quantity": "total_spin", "kind": "categorical", "width": 2}]},
            "expected n_classes for a categorical embedding only",
        ),
        ({"interaction": "attention"}, "interaction"),
        ({"elements": ("O", "H")}, "ascending atomic number"),
    ],
)
def test_what_makes_no_sense_is_refused(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        config(**settings)


def test_layers() -> None:
    three = config(
        n_layers=3,
        hidden_lmax=2,
        edge_lmax=1,
        first_layer_edge_channels=False,
        first_interaction="density",
    )
    assert [three.block(layer) for layer in range(3)] == [
        Block.DENSITY,
        Block.NONLINEAR_RESIDUAL,
        Block.NONLINEAR_RESIDUAL,
    ]
    assert [three.edge_channels(layer) for layer in range(3)] == [8, 4, 4]
    assert [three.input_lmax(layer) for layer in range(3)] == [0, 2, 2]
    assert [three.message_lmax(layer) for layer in range(3)] == [0, 1, 1]
    assert [three.output_lmax(layer) for layer in range(3)] == [2, 2, 0]
    assert three.correlations == (3, 3, 3)
    assert config(correlation=(3, 1)).correlations == (3, 1)
    assert [config(n_edge_channels=None).edge_channels(layer) for layer in range(2)] == [8, 8]


def test_readouts() -> None:
    assert [config(n_layers=3).has_readout(layer) for layer in range(3)] == [True, True, True]
    assert [
        config(n_layers=3, last_readout_only=True).has_readout(layer) for layer in range(3)
    ] == [False, False, True]


def test_which_models_jump_at_the_cutoff() -> None:
    assert config(apply_cutoff=True).jumps_at_cutoff
    assert config(
        apply_cutoff=True, interaction="residual", first_interaction="nonlinear_residual"
    ).jumps_at_cutoff
    assert not config(apply_cutoff=False).jumps_at_cutoff
    assert not config(apply_cutoff=True, interaction="residual").jumps_at_cutoff


def test_blocks_are_names_in_files_only() -> None:
    written = config(interaction="residual", first_interaction=Block.PLAIN).model_dump_json()
    assert '"interaction":"residual","first_interaction":"plain"' in written
    read = ModelConfig.model_validate_json(written)
    assert (read.interaction, read.first_interaction) == (Block.RESIDUAL, Block.PLAIN)


def test_importer_knows_every_block() -> None:
    assert set(BLOCKS.values()) == set(Block)
