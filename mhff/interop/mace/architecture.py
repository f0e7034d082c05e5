"""From a file's modules to a `ModelConfig`; every layout that the configuration would not reproduce
is refused.
"""

from __future__ import annotations

from typing import Any

from ase.data import chemical_symbols
from pydantic import ValidationError

from mhff.interop.mace.reading import Reading, UnknownModelError, expect, natural, words
from mhff.interop.torchfile.modules import function_name, irreps
from mhff.model.config import Block, ModelConfig

MODELS = ("ScaleShiftMACE", "MACE")
BLOCKS = {
    "RealAgnosticInteractionBlock": Block.PLAIN,
    "RealAgnosticResidualInteractionBlock": Block.RESIDUAL,
    "RealAgnosticDensityInteractionBlock": Block.DENSITY,
    "RealAgnosticDensityResidualInteractionBlock": Block.DENSITY_RESIDUAL,
    "RealAgnosticResidualNonLinearInteractionBlock": Block.NONLINEAR_RESIDUAL,
}
RADIAL = {"BesselBasis": "bessel", "GaussianBasis": "gaussian", "ChebychevBasis": "chebyshev"}
TRANSFORMS = {"AgnesiTransform": "agnesi", "SoftTransform": "soft"}
READOUTS = {"NonLinearReadoutBlock": "nonlinear", "NonLinearBiasReadoutBlock": "nonlinear_bias"}


def read_architecture(reading: Reading) -> ModelConfig:
    """The architecture of a file's model; raises UnknownModelError where mhff has none that is the
    same.
    """
    expect(
        reading.root.class_name in MODELS,
        f"it holds a {reading.root.class_name}, mhff knows {', '.join(MODELS)}",
    )
    fields = (
        _general(reading)
        | _radial(reading)
        | _layers(reading)
        | _products(reading)
        | _readouts(reading)
        | _state(reading)
    )
    try:
        config = ModelConfig.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        place, reason = (
            ".".join(map(str, first["loc"])) or "its settings",
            first["msg"].removeprefix("Value error, "),
        )
        raise UnknownModelError(f"{place}: {reason}") from error
    _check_layouts(reading, config)
    return config


def _n_layers(reading: Reading) -> int:
    return int(reading.number("num_interactions"))


def _general(reading: Reading) -> dict[str, Any]:
    numbers = reading.tensor("atomic_numbers").tolist()
    expect(
        all(0 < number < len(chemical_symbols) for number in numbers),
        f"it has the atomic numbers {numbers}",
    )
    heads = reading.root.attributes.get("heads") or ["Default"]
    expect(
        isinstance(heads, (list, tuple)) and all(isinstance(head, str) for head in heads),
        "its heads are not names",
    )
    return {
        "elements": [chemical_symbols[number] for number in numbers],
        "heads": list(heads),
        "r_max": reading.number("r_max"),
        "n_layers": _n_layers(reading),
        "zbl": reading.find("pair_repulsion_fn") is not None,
    }


def _radial(reading: Reading) -> dict[str, Any]:
    basis = reading.module("radial_embedding.bessel_fn").class_name
    transform = reading.find("radial_embedding.distance_transform")
    power = reading.number("radial_embedding.cutoff_fn.p")
    cutoffs = [reading.number("radial_embedding.cutoff_fn.r_max"), reading.number("r_max")]
    expect(basis in RADIAL, f"its radial basis is a {basis}")
    expect(
        transform is None or transform.class_name in TRANSFORMS,
        f"its distance transform is a {transform}",
    )
    expect(
        cutoffs[0] == cutoffs[1],
        f"its envelope ends at {cutoffs[0]} A, its neighbours at {cutoffs[1]} A",
    )
    if reading.find("pair_repulsion_fn") is not None:
        expect(
            reading.number("pair_repulsion_fn.p") == power,
            "its pair repulsion has an envelope of its own",
        )
    return {
        "radial_basis": RADIAL[basis],
        "distance_transform": "none" if transform is None else TRANSFORMS[transform.class_name],
        "n_radial": reading.typed("radial_embedding", "out_dim", int),
        "cutoff_power": int(power),
        "apply_cutoff": bool(
            reading.module("radial_embedding").attributes.get("apply_cutoff", True)
        ),
    }


def edge_irreps(reading: Reading, layer: int) -> tuple[tuple[int, int, int], ...]:
    """Irreps of what neighbours send in a layer."""
    return reading.irreps(f"interactions.{layer}.conv_tp", "irreps_in1")


def _layers(reading: Reading) -> dict[str, Any]:
    n_layers = _n_layers(reading)
    places = [f"interactions.{layer}" for layer in range(n_layers)]
    classes = [reading.module(place).class_name for place in places]
    for name in classes:
        expect(
            name in BLOCKS, f"it has the interaction block {name}, mhff knows {', '.join(BLOCKS)}"
        )
    expect(len(set(classes[1:])) < 2, "its later layers have different interaction blocks")
    neighbours = {reading.typed(place, "avg_num_neighbors", float) for place in places}
    widths = {reading.typed(f"{place}.conv_tp_weights", "hs", tuple)[1:-1] for place in places}
    expect(len(neighbours) == 1, "its layers have different avg_num_neighbors")
    expect(len(widths) == 1, "its layers have different radial_MLP")
    ((channels, _, _), *_) = reading.irreps(places[0], "node_feats_irreps")
    output = reading.irreps(places[0], "hidden_irreps")
    edges = edge_irreps(reading, n_layers - 1)
    hidden_lmax = max(degree for _, degree, _ in output) if n_layers > 1 else 0
    edge_lmax = max(degree for _, degree, _ in edges)
    return {
        "n_channels": channels,
        "hidden_lmax": hidden_lmax,
        "n_edge_channels": edges[0][0],
        "edge_lmax": edge_lmax if n_layers > 1 and edge_lmax != hidden_lmax else None,
        "first_layer_edge_channels": edge_irreps(reading, 0)[0][0] == edges[0][0],
        "l_max": max(
            degree for _, degree, _ in reading.irreps("spherical_harmonics", "irreps_out")
        ),
        "interaction": BLOCKS[classes[-1]],
        "first_interaction": BLOCKS[classes[0]] if classes[0] != classes[-1] else None,
        "radial_mlp": widths.pop(),
        "avg_num_neighbors": neighbours.pop(),
    }


def _products(reading: Reading) -> dict[str, Any]:
    places = [f"products.{layer}" for layer in range(_n_layers(reading))]
    orders = [
        reading.typed(f"{place}.symmetric_contractions.contractions.0", "correlation", int)
        for place in places
    ]
    agnostic = {
        bool(reading.module(place).attributes.get("use_agnostic_product", False))
        for place in places
    }
    expect(len(agnostic) == 1, "its products are agnostic in some layers only")
    return {
        "correlation": orders[0] if len(set(orders)) == 1 else tuple(orders),
        "agnostic_product": agnostic.pop(),
    }


def readout_path(reading: Reading, layer: int) -> str | None:
    """Where a layer's readout is; None if it has none."""
    n_layers, n_readouts = _n_layers(reading), len(reading.module("readouts").children)
    if n_readouts == n_layers:
        return f"readouts.{layer}"
    expect(n_readouts == 1, f"it has {n_readouts} readouts for {n_layers} layers")
    return "readouts.0" if layer == n_layers - 1 else None


def _readouts(reading: Reading) -> dict[str, Any]:
    n_layers = _n_layers(reading)
    paths = [readout_path(reading, layer) for layer in range(n_layers)]
    for path in paths[:-1] if n_layers > 1 else paths:
        expect(
            path is None or reading.module(path).class_name == "LinearReadoutBlock",
            f"{path} is not linear",
        )
    fields: dict[str, Any] = {"last_readout_only": None in paths}
    if n_layers == 1:
        return fields
    last = str(paths[-1])
    name = reading.module(last).class_name
    expect(name in READOUTS, f"its last readout is a {name}, mhff knows {', '.join(READOUTS)}")
    hidden = reading.irreps(f"{last}.linear_1", "irreps_out")
    expect(
        len(hidden) == 1 and hidden[0][1:] == (0, 1),
        f"its last readout has the hidden features {words(hidden)}",
    )
    n_heads = (
        reading.typed(last, "num_heads", int)
        if "num_heads" in reading.module(last).attributes
        else 1
    )
    expect(
        hidden[0][0] % n_heads == 0,
        f"its last readout has {hidden[0][0]} hidden features for {n_heads} heads",
    )
    return fields | {
        "readout": READOUTS[name],
        "readout_width": hidden[0][0] // n_heads,
        "readout_activation": activation_name(reading, last),
    }


def activation_name(reading: Reading, readout: str) -> str:
    """Name of a non-linear readout's activation."""
    act = reading.find(f"{readout}.non_linearity.acts.0")
    return "none" if act is None else str(function_name(act.attributes.get("f")))


def _state(reading: Reading) -> dict[str, Any]:
    specs = reading.root.attributes.get("embedding_specs") or {}
    expect(isinstance(specs, dict), "its embedding_specs are not a dictionary")
    embeddings = []
    for quantity, spec in specs.items():
        expect(
            quantity in ("total_charge", "total_spin"),
            f"it has an embedding of {quantity}, mhff knows total_charge, total_spin",
        )
        expect(spec.get("per") == "graph", f"its {quantity} is embedded per {spec.get('per')}")
        kind = spec.get("type")
        expect(
            kind == "categorical" or spec.get("in_dim") == 1,
            f"its {quantity} has {spec.get('in_dim')} components",
        )
        embeddings.append(
            {
                "quantity": quantity,
                "kind": kind,
                "width": spec.get("emb_dim"),
                "n_classes": spec.get("num_classes", 0) if kind == "categorical" else 0,
                "offset": spec.get("offset", 0) if kind == "categorical" else 0,
                "bias": bool(spec.get("use_bias", True)),
            }
        )
    return {
        "state_embeddings": embeddings,
        "state_readout": reading.find("embedding_readout") is not None,
    }


def _check_layouts(reading: Reading, config: ModelConfig) -> None:
    """Every layer's features are those that the configuration means."""
    harmonics = natural(1, config.l_max)
    target = natural(config.n_channels, config.l_max)
    _same(reading, "spherical_harmonics", "irreps_out", harmonics)
    for layer in range(config.n_layers):
        place = f"interactions.{layer}"
        inputs = natural(config.n_channels, config.input_lmax(layer))
        output = natural(config.n_channels, config.output_lmax(layer))
        edges = natural(config.edge_channels(layer), config.message_lmax(layer))
        _same(reading, place, "node_feats_irreps", inputs)
        _same(reading, place, "hidden_irreps", output)
        _same(reading, place, "target_irreps", target)
        _same(reading, place, "edge_attrs_irreps", harmonics)
        _same(reading, f"{place}.conv_tp", "irreps_in1", edges)
        _same(reading, f"{place}.conv_tp", "irreps_in2", harmonics)
        _same(reading, f"products.{layer}.symmetric_contractions", "irreps_in", target)
        _same(reading, f"products.{layer}.symmetric_contractions", "irreps_out", output)
        # mace-torch adds the skip term only where this flag is set
        skips = config.block(layer).is_residual
        expect(
            not skips or reading.typed(f"products.{layer}", "use_sc", bool),
            f"products.{layer} leaves the skip term out",
        )


def _same(
    reading: Reading, path: str, name: str, expected: tuple[tuple[int, int, int], ...]
) -> None:
    found = irreps(reading.attribute(path, name))
    expect(
        found == expected,
        f"{path}.{name} is {words(found)}, mhff's layout would be {words(expected)}",
    )
