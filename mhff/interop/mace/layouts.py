"""A check that the features of every layer are laid out as mhff's configuration says."""

from __future__ import annotations

from mhff.interop.mace.irreps import Irreps, natural, words
from mhff.interop.mace.reading import Reading
from mhff.interop.mace.refusals import expect
from mhff.model.config import ModelConfig


def check_layouts(reading: Reading, config: ModelConfig) -> None:
    """Raise UnknownModelError unless every layer's features are those of the configuration."""
    harmonics = natural(1, config.l_max)
    target = natural(config.n_channels, config.l_max)
    _check_irreps(reading, "spherical_harmonics", "irreps_out", harmonics)
    for layer in range(config.n_layers):
        place = f"interactions.{layer}"
        inputs = natural(config.n_channels, config.input_lmax(layer))
        output = natural(config.n_channels, config.output_lmax(layer))
        edges = natural(config.edge_channels(layer), config.message_lmax(layer))
        _check_irreps(reading, place, "node_feats_irreps", inputs)
        _check_irreps(reading, place, "hidden_irreps", output)
        _check_irreps(reading, place, "target_irreps", target)
        _check_irreps(reading, place, "edge_attrs_irreps", harmonics)
        _check_irreps(reading, f"{place}.conv_tp", "irreps_in1", edges)
        _check_irreps(reading, f"{place}.conv_tp", "irreps_in2", harmonics)
        _check_irreps(reading, f"products.{layer}.symmetric_contractions", "irreps_in", target)
        _check_irreps(reading, f"products.{layer}.symmetric_contractions", "irreps_out", output)
        # mace-torch adds the skip term only where use_sc is set
        expect(
            not config.block(layer).is_residual
            or reading.flag(f"products.{layer}", "use_sc", default=False),
            f"products.{layer} leaves the skip term out",
        )


def _check_irreps(reading: Reading, path: str, name: str, expected: Irreps) -> None:
    found = reading.irreps(path, name)
    expect(
        found == expected,
        f"{path}.{name} is {words(found)}, but mhff's layout would be {words(expected)}",
    )
