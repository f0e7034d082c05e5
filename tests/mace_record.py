"""The module records of mace-torch for a model of mhff: the inverse of the importer.

With them the importer can be tested without mace-torch. Names and layouts are those that the
importer expects; the parity tests check that mace-torch writes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import torch
from models import random_model

from mhff.interop.mace.architecture import BLOCKS, RADIAL, READOUTS, TRANSFORMS
from mhff.interop.mace.irreps import Irreps, natural, words
from mhff.interop.torchfile.modules import ModuleRecord
from mhff.interop.torchfile.pickled import Global
from mhff.model.config import ModelConfig, StateEmbedding
from mhff.model.coupling import clebsch_gordan, convolution_paths
from mhff.modelfile import Model

Tensors = Mapping[str, torch.Tensor]
N_ATOMIC_NUMBERS = 119


class Part:
    """A module under construction: a class name, attributes, tensors and parts below."""

    def __init__(self, class_path: str, **attributes: Any) -> None:
        self.class_path = class_path
        self.attributes = attributes
        self.tensors: dict[str, torch.Tensor] = {}
        self.script: dict[str, torch.Tensor] = {}
        self.parts: dict[str, Part] = {}

    def holds(self, **tensors: torch.Tensor | float) -> Part:
        """Add tensors; numbers become tensors without axes."""
        for name, value in tensors.items():
            is_tensor = isinstance(value, torch.Tensor)
            self.tensors[name] = value if is_tensor else torch.tensor(value, dtype=torch.float64)
        return self

    def has(self, **parts: Part) -> Part:
        """Add parts."""
        self.parts.update(parts)
        return self

    def record(self, path: str = "") -> ModuleRecord:
        """The module as the reader of torch files gives it."""
        prefix = f"{path}." if path else ""
        children = {name: part.record(prefix + name) for name, part in self.parts.items()}
        return ModuleRecord(
            path, self.class_path, self.attributes, {}, self.tensors, children, frozenset(),
            self.script,
        )  # fmt: skip


@cache
def random_record(name: str) -> ModuleRecord:
    """The root module of a random model of this shape (`models.random_model`)."""
    model = random_model(name)
    model.network.double()
    return mace_record(model)


def mace_record(model: Model) -> ModuleRecord:
    """The root module of a model in float64."""
    config = model.network.config
    constants = model.network.constants
    weights = model.network.state_dict()
    layers = range(config.n_layers)
    root = Part("mace.modules.models.ScaleShiftMACE", heads=list(config.heads))
    root.holds(
        atomic_numbers=torch.tensor(config.atomic_numbers),
        r_max=config.r_max,
        num_interactions=torch.tensor(config.n_layers),
    )
    references = below(weights, "reference_energies")
    root.has(
        node_embedding=block("LinearNodeEmbeddingBlock").has(
            linear=table(weights["node_embedding.weight"])
        ),
        radial_embedding=radial_embedding(config, constants),
        spherical_harmonics=Part(
            "e3nn.o3._spherical_harmonics.SphericalHarmonics",
            irreps_out=words(natural(1, config.l_max)),
        ),
        interactions=numbered(
            interaction(config, layer, constants, below(weights, f"layers.{layer}.interaction"))
            for layer in layers
        ),
        products=numbered(
            product(config, layer, constants, below(weights, f"layers.{layer}.product"))
            for layer in layers
        ),
        readouts=numbered(
            readout(config, layer, constants, below(weights, f"layers.{layer}.readout"))
            for layer in layers
            if config.has_readout(layer)
        ),
        atomic_energies_fn=block("AtomicEnergiesBlock").holds(atomic_energies=references["E0s"]),
        scale_shift=block("ScaleShiftBlock").holds(
            scale=references["scale"], shift=references["shift"]
        ),
    )
    if config.zbl:
        root.has(pair_repulsion_fn=pair_repulsion(config, constants))
    if config.state_embeddings:
        root.attributes["embedding_specs"] = {
            embedding.quantity: specification(embedding) for embedding in config.state_embeddings
        }
        root.has(joint_embedding=joint_embedding(config, below(weights, "state_embedding")))
    if config.state_readout:
        linear = block("LinearReadoutBlock").has(
            linear=linear_readout(config, below(weights, "state_readout"))
        )
        root.has(embedding_readout=linear)
    return root.record()


def below(weights: Tensors, prefix: str) -> dict[str, torch.Tensor]:
    """Tensors whose names begin with a prefix, without it."""
    return {
        name.removeprefix(f"{prefix}."): value
        for name, value in weights.items()
        if name.startswith(f"{prefix}.")
    }


def block(name: str, **attributes: Any) -> Part:
    """One of mace-torch's blocks."""
    return Part(f"mace.modules.blocks.{name}", **attributes)


def radial(name: str, **attributes: Any) -> Part:
    """One of mace-torch's radial functions."""
    return Part(f"mace.modules.radial.{name}", **attributes)


def numbered(parts: Any) -> Part:
    """A list of modules."""
    listed = Part("torch.nn.modules.container.ModuleList")
    return listed.has(**{str(number): part for number, part in enumerate(parts)})


def table(weight: torch.Tensor) -> Part:
    """A linear map of one-hot vectors of the elements."""
    n_elements, channels = weight.shape
    return Part(
        "e3nn.o3._linear.Linear",
        irreps_in=words(natural(n_elements, 0)),
        irreps_out=words(natural(channels, 0)),
    ).holds(weight=weight.flatten())


def linear(matrices: list[torch.Tensor], n_elements: int = 0) -> Part:
    """An equivariant linear map from one matrix per degree, for each element where given."""
    inputs = tuple((m.shape[-2], l, (-1) ** l) for l, m in enumerate(matrices))
    outputs = tuple((m.shape[-1], l, (-1) ** l) for l, m in enumerate(matrices))
    ordered = [m.transpose(0, 1) if n_elements else m for m in matrices]
    weight = torch.cat([m.flatten() for m in ordered])
    if not n_elements:
        part = Part("e3nn.o3._linear.Linear", irreps_in=words(inputs), irreps_out=words(outputs))
        return part.holds(weight=weight)
    return Part(
        "e3nn.o3._tensor_product._sub.FullyConnectedTensorProduct",
        irreps_in1=words(inputs),
        irreps_in2=words(((n_elements, 0, 1),)),
        irreps_out=words(outputs),
    ).holds(weight=weight)


def degrees(weights: Tensors, name: str) -> list[torch.Tensor]:
    """The matrices of a map, one per degree."""
    found = below(weights, f"{name}.weights")
    return [found[str(degree)] for degree in range(len(found))]


def radii(config: ModelConfig, constants: Tensors) -> torch.Tensor:
    """Covalent radii by atomic number."""
    by_number = torch.full((N_ATOMIC_NUMBERS,), 0.2, dtype=torch.float64)
    by_number[list(config.atomic_numbers)] = constants["covalent_radii"]
    return by_number


def radial_embedding(config: ModelConfig, constants: Tensors) -> Part:
    functions, factor = constants["radial.functions"], constants["radial.factor"]
    basis = radial({value: key for key, value in RADIAL.items()}[config.radial_basis])
    if config.radial_basis == "bessel":
        basis.holds(bessel_weights=functions, prefactor=factor, r_max=config.r_max)
    elif config.radial_basis == "gaussian":
        basis.holds(gaussian_weights=functions).attributes["coeff"] = float(factor)
    else:
        basis.holds(n=functions.unsqueeze(0))
    embedding = block(
        "RadialEmbeddingBlock", out_dim=config.n_radial, apply_cutoff=config.apply_cutoff
    ).has(
        bessel_fn=basis,
        cutoff_fn=radial("PolynomialCutoff").holds(p=config.cutoff_power, r_max=config.r_max),
    )
    if config.distance_transform != "none":
        names = {"agnesi": ("a", "q", "p"), "soft": ("alpha",)}[config.distance_transform]
        values = zip(names, constants["radial.transform"], strict=True)
        name = {value: key for key, value in TRANSFORMS.items()}[config.distance_transform]
        transform = radial(name).holds(**dict(values), covalent_radii=radii(config, constants))
        embedding.has(distance_transform=transform)
    return embedding


def pair_repulsion(config: ModelConfig, constants: Tensors) -> Part:
    return radial("ZBLBasis").holds(
        p=config.cutoff_power,
        c=constants["zbl.coefficients"],
        a_prefactor=constants["zbl.length"] / 0.529,
        a_exp=constants["zbl.power"],
        covalent_radii=radii(config, constants),
    )


def interaction(config: ModelConfig, layer: int, constants: Tensors, weights: Tensors) -> Part:
    kind = config.block(layer)
    name = {value: key for key, value in BLOCKS.items()}[kind]
    lmax = config.l_max
    part = block(
        name,
        avg_num_neighbors=config.avg_num_neighbors,
        node_feats_irreps=words(natural(config.n_channels, config.input_lmax(layer))),
        hidden_irreps=words(natural(config.n_channels, config.output_lmax(layer))),
        target_irreps=words(natural(config.n_channels, lmax)),
        edge_attrs_irreps=words(natural(1, lmax)),
    )
    silu = float(constants["activation.silu"])
    part.has(conv_tp=tensor_product(config, layer), linear_up=linear(degrees(weights, "linear_up")))
    if kind.is_nonlinear:
        for name in ("linear_1", "linear_res", "linear_2"):
            part.has(**{name: linear(degrees(weights, name))})
        gate = Part(
            "mace.modules.gate.GatedEquivariantBlock",
            _scalar_cst=silu,
            _gate_cst=float(constants["activation.sigmoid"]),
        )
        return part.holds(alpha=weights["alpha"], beta=weights["beta"]).has(
            source_embedding=table(weights["source.weight"]),
            target_embedding=table(weights["target.weight"]),
            skip_tp=linear(degrees(weights, "skip")),
            conv_tp_weights=pair_network(below(weights, "radial_network")),
            density_fn=pair_network(below(weights, "density_network")),
            equivariant_nonlin=gate,
        )
    mix = degrees(weights, "skip" if kind.is_residual else "mix")
    part.has(
        linear=linear(degrees(weights, "linear")),
        skip_tp=linear(mix, len(config.elements)),
        conv_tp_weights=radial_network(below(weights, "radial_network"), silu),
    )
    if kind.has_density:
        part.has(density_fn=radial_network(below(weights, "density_network"), silu))
    return part


def tensor_product(config: ModelConfig, layer: int) -> Part:
    edges: Irreps = natural(config.edge_channels(layer), config.message_lmax(layer))
    paths = list(convolution_paths(config.message_lmax(layer), config.l_max))
    part = Part(
        "e3nn.o3._tensor_product._tensor_product.TensorProduct",
        irreps_in1=words(edges),
        irreps_in2=words(natural(1, config.l_max)),
        weight_numel=len(paths) * config.edge_channels(layer),
    )
    part.script = {
        f"_w3j_{l1}_{l2}_{l3}": clebsch_gordan(l1, l2, l3)
        for l1, l2, l3 in paths
        if min(l1, l2, l3) > 0
    }
    return part


def pair_network(weights: Tensors) -> Part:
    """Linear, LayerNorm, silu, ..., Linear of torch."""
    net = Part("torch.nn.modules.container.Sequential")
    n_layers = len(below(weights, "weights"))
    for index in range(n_layers):
        layer = Part("torch.nn.modules.linear.Linear").holds(
            weight=weights[f"weights.{index}"], bias=weights[f"biases.{index}"]
        )
        net.has(**{str(3 * index): layer})
        if index < n_layers - 1:
            norm = Part("torch.nn.modules.normalization.LayerNorm", eps=1e-5)
            norm.holds(**below(weights, f"norms.{index}"))
            net.has(**{str(3 * index + 1): norm})
    shapes = [weights[f"weights.{index}"].shape for index in range(n_layers)]
    hs = [shapes[0][1], *(shape[0] for shape in shapes)]
    return radial("RadialMLP", hs=hs).has(net=net)


def radial_network(weights: Tensors, silu: float) -> Part:
    """e3nn's FullyConnectedNet."""
    found = list(below(weights, "weights").values())
    hs = [found[0].shape[0], *(weight.shape[1] for weight in found)]
    net = Part("e3nn.nn._fc.FullyConnectedNet", hs=hs)
    for index, weight in enumerate(found):
        layer = Part("e3nn.nn._fc._Layer").holds(weight=weight)
        act = Part("e3nn.math._normalize_activation.normalize2mom", cst=silu)
        net.has(**{f"layer{index}": layer.has(act=act)})
    return net


def product(config: ModelConfig, layer: int, constants: Tensors, weights: Tensors) -> Part:
    target = natural(config.n_channels, config.l_max)
    output = natural(config.n_channels, config.output_lmax(layer))
    contractions = Part(
        "mace.modules.symmetric_contraction.SymmetricContraction",
        irreps_in=words(target),
        irreps_out=words(output),
    ).has(contractions=numbered(contracted(config, layer, constants, weights)))
    return block(
        "EquivariantProductBasisBlock",
        use_sc=config.block(layer).is_residual,
        use_agnostic_product=config.agnostic_product,
    ).has(symmetric_contractions=contractions, linear=linear(degrees(weights, "linear")))


def contracted(config: ModelConfig, layer: int, constants: Tensors, weights: Tensors) -> list[Part]:
    """One contraction per degree, with dense bases."""
    basis = below(constants, f"product.{layer}")
    dim, highest = (config.l_max + 1) ** 2, config.correlations[layer]
    orders = (basis["monomials"] < dim).sum(1)
    parts, column = [], 0
    for degree in range(config.output_lmax(layer) + 1):
        part = Part("mace.modules.symmetric_contraction.Contraction", correlation=highest)
        others = Part("torch.nn.modules.container.ParameterList")
        for order in range(1, highest + 1):
            n_paths = int(basis["paths"][column])
            columns = slice(column, column + n_paths)
            rows = basis["rows"] - degree**2
            own = ((rows >= 0) & (rows <= 2 * degree) & (orders == order)).nonzero().flatten()
            dense = torch.zeros(2 * degree + 1, *[dim] * order, n_paths, dtype=torch.float64)
            index = (rows[own], *basis["monomials"][own, :order].T)
            dense.index_put_(index, basis["basis"][own, columns], accumulate=True)
            part.holds(**{f"U_matrix_{order}": dense if degree else dense[0]})
            share = weights["weights"][:, columns]
            holder, name = (
                (part, "weights_max") if order == highest else (others, str(highest - order - 1))
            )
            holder.holds(**{name: share})
            column += n_paths
        parts.append(part.has(weights=others))
    return parts


def linear_readout(config: ModelConfig, weights: Tensors) -> Part:
    return Part(
        "e3nn.o3._linear.Linear",
        irreps_in=words(natural(config.n_channels, 0)),
        irreps_out=words(natural(len(config.heads), 0)),
    ).holds(weight=weights["weight"].flatten())


def readout(config: ModelConfig, layer: int, constants: Tensors, weights: Tensors) -> Part:
    if "weight" in weights:
        return block("LinearReadoutBlock").has(linear=linear_readout(config, weights))
    n_heads, width = len(config.heads), config.readout_width
    own = torch.arange(n_heads)
    last = torch.zeros(n_heads, width, n_heads, dtype=torch.float64)
    last[own, :, own] = weights["weight_2"]
    name = {value: key for key, value in READOUTS.items()}[config.readout]
    act = Part("e3nn.math._normalize_activation.normalize2mom")
    act.attributes |= {
        "f": Global("torch.nn.functional", config.readout_activation),
        "cst": float(constants["activation.readout"]),
        "_is_id": False,
    }
    part = block(name, num_heads=n_heads).has(
        linear_1=Part("e3nn.o3._linear.Linear", irreps_out=words(natural(n_heads * width, 0))),
        linear_2=Part("e3nn.o3._linear.Linear").holds(weight=last.flatten()),
        non_linearity=Part("e3nn.nn._activation.Activation").has(acts=numbered([act])),
    )
    part.parts["linear_1"].holds(weight=weights["weight_1"].flatten())
    if config.readout == "nonlinear_bias":
        middle = torch.zeros(n_heads, width, n_heads, width, dtype=torch.float64)
        middle[own, :, own] = weights["weight_middle"]
        part.has(
            linear_mid=Part("e3nn.o3._linear.Linear").holds(
                weight=middle.flatten(), bias=weights["bias_middle"].flatten()
            )
        )
        part.parts["linear_2"].holds(bias=weights["bias_2"])
    return part


def specification(embedding: StateEmbedding) -> dict[str, Any]:
    """The settings of an embedding."""
    return {
        "type": embedding.kind,
        "per": "graph",
        "in_dim": 1,
        "emb_dim": embedding.width,
        "num_classes": embedding.n_classes,
        "offset": embedding.offset,
        "use_bias": embedding.bias,
    }


def joint_embedding(config: ModelConfig, weights: Tensors) -> Part:
    project = Part("torch.nn.modules.linear.Linear").holds(weight=weights["project"])
    embedders = Part("torch.nn.modules.container.ModuleDict")
    for index, embedding in enumerate(config.state_embeddings):
        own = below(weights, f"embeddings.{index}")
        if embedding.kind == "categorical":
            part = Part("torch.nn.modules.sparse.Embedding").holds(weight=own["weight"])
        else:
            part = Part("torch.nn.modules.container.Sequential")
            for place, number in (("0", 1), ("2", 2)):
                layer = Part("torch.nn.modules.linear.Linear")
                layer.holds(weight=own[f"weight_{number}"])
                if embedding.bias:
                    layer.holds(bias=own[f"bias_{number}"])
                part.has(**{place: layer})
        embedders.has(**{embedding.quantity: part})
    return Part("mace.modules.embeddings.GenericJointEmbedding").has(
        embedders=embedders,
        project=Part("torch.nn.modules.container.Sequential").has(**{"0": project}),
    )
