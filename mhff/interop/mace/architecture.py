"""From a file's modules and settings to a `ModelConfig`."""

from __future__ import annotations

from typing import Any

from ase.data import chemical_symbols
from pydantic import ValidationError

from mhff.errors import printable
from mhff.interop.mace.activations import readout_activation
from mhff.interop.mace.irreps import Irreps, words
from mhff.interop.mace.layouts import check_layouts
from mhff.interop.mace.reading import Reading
from mhff.interop.mace.refusals import UnknownModelError, expect, some
from mhff.interop.mace.settings import count, flag, integer
from mhff.model.config import MAX_LAYERS, Block, ModelConfig

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
QUANTITIES = ("total_charge", "total_spin")
EMBEDDINGS = ("categorical", "continuous")

Fields = dict[str, Any]
"""Fields of a `ModelConfig`."""


def read_architecture(reading: Reading) -> ModelConfig:
    """The architecture of a file's model; raises UnknownModelError if mhff has no equivalent."""
    name = reading.root.class_name
    expect(name in MODELS, f"it holds a {name}, but mhff knows {', '.join(MODELS)}")
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
        place = ".".join(map(str, first["loc"])) or "its settings"
        reason = first["msg"].removeprefix("Value error, ")
        raise UnknownModelError(f"{place}: {reason}") from error
    check_layouts(reading, config)
    return config


def _n_layers(reading: Reading) -> int:
    n_layers = reading.count("num_interactions")
    expect(n_layers <= MAX_LAYERS, f"it has {n_layers} layers, but mhff knows up to {MAX_LAYERS}")
    return n_layers


def _general(reading: Reading) -> Fields:
    return {
        "elements": _elements(reading),
        "heads": _heads(reading),
        "r_max": reading.number("r_max"),
        "n_layers": _n_layers(reading),
        "zbl": reading.find("pair_repulsion_fn") is not None,
    }


def _elements(reading: Reading) -> list[str]:
    tensor = reading.tensor("atomic_numbers")
    expect(
        tensor.dim() == 1 and len(tensor) < len(chemical_symbols),
        f"its atomic numbers have the shape {list(tensor.shape)}",
    )
    numbers = [integer(number, "an atomic number") for number in tensor.tolist()]
    unknown = [number for number in numbers if not 0 < number < len(chemical_symbols)]
    expect(not unknown, f"it has the atomic numbers {some(unknown)}")
    return [chemical_symbols[number] for number in numbers]


def _heads(reading: Reading) -> list[str]:
    heads = reading.root.attributes.get("heads")
    if heads is None or heads == []:
        return ["Default"]
    expect(
        isinstance(heads, list | tuple)
        and all(isinstance(head, str) and head and printable(head) == head for head in heads),
        "its heads are not names",
    )
    return list(heads)


def _radial(reading: Reading) -> Fields:
    basis = reading.module("radial_embedding.bessel_fn").class_name
    transform = reading.find("radial_embedding.distance_transform")
    power = reading.count("radial_embedding.cutoff_fn.p")
    end = reading.number("radial_embedding.cutoff_fn.r_max")
    r_max = reading.number("r_max")
    expect(basis in RADIAL, f"its radial basis is a {basis}")
    expect(
        transform is None or transform.class_name in TRANSFORMS,
        f"its distance transform is a {transform}",
    )
    expect(end == r_max, f"its envelope ends at {end} A, its neighbours at {r_max} A")
    if reading.find("pair_repulsion_fn") is not None:
        expect(
            reading.number("pair_repulsion_fn.p") == power,
            "its pair repulsion has an envelope of its own",
        )
    return {
        "radial_basis": RADIAL[basis],
        "distance_transform": "none" if transform is None else TRANSFORMS[transform.class_name],
        "n_radial": reading.positive("radial_embedding", "out_dim"),
        "cutoff_power": power,
        "apply_cutoff": reading.flag("radial_embedding", "apply_cutoff", default=True),
    }


def _edge_irreps(reading: Reading, layer: int) -> Irreps:
    """Irreps of the features that neighbours send in a layer."""
    return reading.irreps(f"interactions.{layer}.conv_tp", "irreps_in1")


def _lmax(irreps: Irreps) -> int:
    return max(degree for _, degree, _ in irreps)


def _layers(reading: Reading) -> Fields:
    n_layers = _n_layers(reading)
    places = [f"interactions.{layer}" for layer in range(n_layers)]
    blocks = [_block(reading, place) for place in places]
    expect(len(set(blocks[1:])) < 2, "its later layers have different interaction blocks")
    neighbours = {reading.real(place, "avg_num_neighbors") for place in places}
    widths = {reading.positives(f"{place}.conv_tp_weights", "hs")[1:-1] for place in places}
    expect(len(neighbours) == 1, "its layers have different avg_num_neighbors")
    expect(len(widths) == 1, "its layers have different radial_MLP")
    output = reading.irreps(places[0], "hidden_irreps")
    edges = _edge_irreps(reading, n_layers - 1)
    hidden_lmax = _lmax(output) if n_layers > 1 else 0
    edge_lmax = _lmax(edges) if n_layers > 1 else hidden_lmax
    return {
        "n_channels": reading.irreps(places[0], "node_feats_irreps")[0][0],
        "hidden_lmax": hidden_lmax,
        "n_edge_channels": edges[0][0],
        "edge_lmax": edge_lmax if edge_lmax != hidden_lmax else None,
        "first_layer_edge_channels": _edge_irreps(reading, 0)[0][0] == edges[0][0],
        "l_max": _lmax(reading.irreps("spherical_harmonics", "irreps_out")),
        "interaction": blocks[-1],
        "first_interaction": blocks[0] if blocks[0] != blocks[-1] else None,
        "radial_mlp": widths.pop(),
        "avg_num_neighbors": neighbours.pop(),
    }


def _block(reading: Reading, place: str) -> Block:
    name = reading.module(place).class_name
    expect(
        name in BLOCKS, f"it has the interaction block {name}, but mhff knows {', '.join(BLOCKS)}"
    )
    return BLOCKS[name]


def _products(reading: Reading) -> Fields:
    places = [f"products.{layer}" for layer in range(_n_layers(reading))]
    orders = [
        reading.positive(f"{place}.symmetric_contractions.contractions.0", "correlation")
        for place in places
    ]
    agnostic = {reading.flag(place, "use_agnostic_product", default=False) for place in places}
    expect(len(agnostic) == 1, "its products are agnostic in some layers only")
    return {
        "correlation": orders[0] if len(set(orders)) == 1 else tuple(orders),
        "agnostic_product": agnostic.pop(),
    }


def readout_path(reading: Reading, layer: int) -> str | None:
    """Path of a layer's readout; None if it has none."""
    n_layers = _n_layers(reading)
    n_readouts = len(reading.module("readouts").children)
    if n_readouts == n_layers:
        return f"readouts.{layer}"
    expect(n_readouts == 1, f"it has {n_readouts} readouts for {n_layers} layers")
    return "readouts.0" if layer == n_layers - 1 else None


def last_readout_path(reading: Reading) -> str:
    """Path of the last layer's readout."""
    return str(readout_path(reading, _n_layers(reading) - 1))


def _readouts(reading: Reading) -> Fields:
    n_layers = _n_layers(reading)
    paths = [readout_path(reading, layer) for layer in range(n_layers)]
    for path in paths[:-1] if n_layers > 1 else paths:
        expect(
            path is None or reading.module(path).class_name == "LinearReadoutBlock",
            f"{path} is not linear",
        )
    fields: Fields = {"last_readout_only": None in paths}
    return fields | (_last_readout(reading) if n_layers > 1 else {})


def _last_readout(reading: Reading) -> Fields:
    path = last_readout_path(reading)
    name = reading.module(path).class_name
    expect(name in READOUTS, f"its last readout is a {name}, but mhff knows {', '.join(READOUTS)}")
    hidden = reading.irreps(f"{path}.linear_1", "irreps_out")
    expect(
        len(hidden) == 1 and hidden[0][1:] == (0, 1),
        f"its last readout has the hidden features {words(hidden)}",
    )
    n_hidden = hidden[0][0]
    n_heads = count(reading.module(path).attributes.get("num_heads", 1), f"{path}.num_heads")
    expect(
        n_hidden % n_heads == 0,
        f"its last readout has {n_hidden} hidden features for {n_heads} heads",
    )
    return {
        "readout": READOUTS[name],
        "readout_width": n_hidden // n_heads,
        "readout_activation": readout_activation(reading, path),
    }


def _state(reading: Reading) -> Fields:
    specs = reading.root.attributes.get("embedding_specs")
    specs = {} if specs is None else specs
    expect(isinstance(specs, dict), "its embedding_specs are not a dictionary")
    return {
        "state_embeddings": [_embedding(quantity, spec) for quantity, spec in specs.items()],
        "state_readout": reading.find("embedding_readout") is not None,
    }


def _embedding(quantity: str, spec: Any) -> Fields:
    expect(
        quantity in QUANTITIES,
        f"it has an embedding of {quantity}, but mhff knows {', '.join(QUANTITIES)}",
    )
    expect(isinstance(spec, dict), f"the embedding of its {quantity} has no settings")
    expect(spec.get("per") == "graph", f"its {quantity} is embedded per {spec.get('per')}")
    kind = spec.get("type")
    expect(kind in EMBEDDINGS, f"the embedding of its {quantity} is {kind}")
    fields = {
        "quantity": quantity,
        "kind": kind,
        "width": count(spec.get("emb_dim"), f"{quantity}.emb_dim"),
        "bias": flag(spec.get("use_bias", True), f"{quantity}.use_bias"),
    }
    if kind == "categorical":
        return fields | {
            "n_classes": count(spec.get("num_classes"), f"{quantity}.num_classes"),
            "offset": integer(spec.get("offset", 0), f"{quantity}.offset"),
        }
    n_components = count(spec.get("in_dim"), f"{quantity}.in_dim")
    expect(n_components == 1, f"its {quantity} has {n_components} components")
    return fields
