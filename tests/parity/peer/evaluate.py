"""Evaluates mace-torch models: all structures and heads in one batch, in both precisions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mace.data import AtomicData, Configuration
from mace.tools import AtomicNumberTable
from mace.tools.torch_geometric import Batch
from random_models import TORCH_DTYPES


def graph(structure: dict[str, Any], head: str, model: torch.nn.Module) -> AtomicData:
    """One structure with one head, in torch's default dtype."""
    configuration = Configuration(
        atomic_numbers=np.array(structure["numbers"]),
        positions=np.array(structure["positions"]),
        cell=np.array(structure["cell"]),
        pbc=tuple(structure["pbc"]),
        properties={"total_charge": structure["charge"], "total_spin": structure["spin"]},
        property_weights={},
        head=head,
    )
    table = AtomicNumberTable([int(number) for number in model.atomic_numbers])
    return AtomicData.from_config(
        configuration, z_table=table, cutoff=float(model.r_max), heads=model.heads
    )


@contextmanager
def recorded_embedding_readout(model: torch.nn.Module) -> Iterator[list[torch.Tensor]]:
    """A list that receives the outputs `[n_atoms, n_heads]` of the embedding readout, which
    node_energy leaves out.
    """
    found: list[torch.Tensor] = []
    if not hasattr(model, "embedding_readout"):
        yield found
        return
    hook = model.embedding_readout.register_forward_hook(
        lambda _module, _inputs, output: found.append(output.detach())
    )
    yield found
    hook.remove()


def batch_outputs(
    model: torch.nn.Module, structures: list[dict[str, Any]], heads: list[str] | None = None
) -> tuple[Batch, dict[str, torch.Tensor]]:
    """mace-torch's outputs for a batch of structures x heads (None: all of them), the head being
    the fast index.

    `node_energy` has the embedding readout added, so that node energies sum to the energy.
    """
    chosen = model.heads if heads is None else heads
    batch = Batch.from_data_list(
        [graph(structure, head, model) for structure in structures for head in chosen]
    )
    with recorded_embedding_readout(model) as embedding:
        outputs = model(
            batch.to_dict(), compute_stress=True, compute_virials=True, compute_edge_forces=True
        )
    if embedding:
        head_of_atom = batch.head[batch.batch]
        outputs["node_energy"] = outputs["node_energy"] + embedding[0].gather(
            1, head_of_atom.unsqueeze(1)
        ).squeeze(1)
    return batch, outputs


def rounding_scales(batch: Batch, edge_forces: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What rounding errors are in proportion to, because forces and virials are what is left of
    these sums over edges.

    `pull` of each atom: sum of |force along the edge|; `strain` of each graph: sum of |force along
    the edge| * length.
    """
    sender, receiver = batch.edge_index
    vectors = batch.positions[receiver] - batch.positions[sender] + batch.shifts
    forces = torch.linalg.vector_norm(edge_forces, dim=1)
    pull = torch.zeros_like(batch.positions[:, 0]).index_add(0, receiver, forces)
    work = forces * torch.linalg.vector_norm(vectors, dim=1)
    return pull, torch.zeros_like(batch.weight).index_add(0, batch.batch[receiver], work)


def evaluate(
    model: torch.nn.Module, structures: list[dict[str, Any]], heads: list[str] | None = None
) -> dict[str, np.ndarray]:
    """`<structure>/<quantity>`, each with the heads as first axis: eV, eV/A, eV/A^3.

    The stress is the strain derivative over the volume of the structure's own cell, and is there
    for three lattice vectors. `pull` is the largest of an atom.
    """
    batch, outputs = batch_outputs(model, structures, heads)
    n_heads = batch.num_graphs // len(structures)
    pull, strain = rounding_scales(batch, outputs["edge_forces"])
    of_graphs = {
        "energy": outputs["energy"],
        "virial": outputs["virials"],
        "own": outputs["stress"],
        "strain": strain,
    }
    of_atoms = {"node_energy": outputs["node_energy"], "forces": outputs["forces"], "pull": pull}
    first_atoms = batch.ptr.tolist()
    numbers = {}
    for index, structure in enumerate(structures):
        graphs = range(index * n_heads, (index + 1) * n_heads)
        found = {name: [values[graph] for graph in graphs] for name, values in of_graphs.items()}
        for name, values in of_atoms.items():
            found[name] = [values[first_atoms[graph] : first_atoms[graph + 1]] for graph in graphs]
        arrays = {
            name: torch.stack(values).detach().double().numpy() for name, values in found.items()
        }
        arrays["pull"] = arrays["pull"].max(1)
        arrays |= stress(structure, arrays.pop("virial"), arrays.pop("own"))
        numbers |= {f"{structure['name']}/{name}": values for name, values in arrays.items()}
    return numbers


def stress(structure: dict[str, Any], virial: np.ndarray, own: np.ndarray) -> dict[str, np.ndarray]:
    """Stress from the virial; where all directions are periodic, it is mace-torch's `own`."""
    volume = abs(np.linalg.det(structure["cell"]))
    if not volume:
        return {}
    found = -virial / volume
    if all(structure["pbc"]):
        np.testing.assert_allclose(own, found, rtol=1e-4, atol=1e-7)
    return {"stress": found}


def load(path: Path, dtype: str) -> torch.nn.Module:
    """The model as a user of mace-torch gets it with this default dtype."""
    torch.set_default_dtype(TORCH_DTYPES[dtype])
    model = torch.load(path, map_location="cpu", weights_only=False)
    return model.to(TORCH_DTYPES[dtype]).requires_grad_(False)


def reference_numbers(
    path: Path, structures: list[dict[str, Any]], heads: list[str] | None = None
) -> dict[str, np.ndarray]:
    """`<dtype>/<structure>/<quantity>` of a model, and `<dtype>/E0s` `[n_heads, n_elements]`."""
    numbers = {}
    for dtype in TORCH_DTYPES:
        model = load(path, dtype)
        numbers |= {
            f"{dtype}/{name}": values for name, values in evaluate(model, structures, heads).items()
        }
        numbers[f"{dtype}/E0s"] = np.atleast_2d(
            model.atomic_energies_fn.atomic_energies.double().numpy()
        )
    return numbers
