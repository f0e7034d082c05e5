"""A network of a model with second derivatives at the speed of programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from mhff.errors import MHFFError
from mhff.files import kernel_folder
from mhff.model.acceleration import use_operators
from mhff.model.mace import MACE
from mhff.modelfile import Model
from mhff.ops.cpu.library import release_memory_with
from mhff.options import Form
from mhff_deploy.compiling.lower import decide_kernels, decide_tables
from mhff_deploy.kernels.second import SecondKernels
from mhff_deploy.lowering.network import LoweredNetwork
from mhff_deploy.lowering.pruning import pruned
from mhff_deploy.lowering.second_order import SecondOrderRadial, SecondOrderRepulsion
from mhff_deploy.radial.choice import InexactTablesError
from mhff_deploy.radial.networks import (
    RadialNetworks,
    RadialTables,
    all_pairs,
    tabulate_elements,
)
from mhff_deploy.radial.tables import Functions, Table, interpolate

INTERVALS_PER_LENGTH = 128
"""Intervals per A that are tried first."""
MAX_INTERVALS = 8192
"""Largest number of intervals that is tried."""
CONVERGENCE_ORDER = 4.0
"""Power of the number of intervals with which the error of curvatures falls."""
MAX_CURVATURE_ERROR = 1e-7
"""Error of a table's second derivative, relative to the largest of its functions."""
MIN_SAMPLED = 0.5
"""Distance from which tables are compared with the exact functions, A; atoms are not closer."""
N_SAMPLES = 199
"""Distances at which they are compared."""
N_PROBES = 4
"""Random sums of functions whose errors stand for those of all."""


def twice_differentiable(
    model: Model, elements: Sequence[str], say: Callable[[str], None] = lambda step: None
) -> LoweredNetwork:
    """The lowered network for some elements on a CPU in float64, differentiable twice.

    `say` announces that kernels are compiled. Raises MHFFError if the model cannot have kernels and
    tables here.
    """
    with torch.inference_mode(False), torch.enable_grad():
        network = pruned(model, elements)
        use_operators(network)
        device = torch.device("cpu")
        use_tables = decide_tables(network, MAX_CURVATURE_ERROR, device)
        use_kernels = decide_kernels(network, device, Form.EAGER, use_tables)
        for decision in (use_tables, use_kernels):
            if not decision.taken:
                raise MHFFError(f"no kernels for second derivatives, {decision.reason}")
        tables = choose_tables(network)
        kernels = SecondKernels(network, tables, kernel_folder(), say)
        lowered = LoweredNetwork(network, tables, kernels)
        lowered.radial = SecondOrderRadial(tables).double()
        if lowered.pair_repulsion is not None:
            repulsion = SecondOrderRepulsion(network.config, network.constants)
            lowered.pair_repulsion = repulsion.double()
    for namespace in (kernels.namespace, kernels.second_namespace):
        release_memory_with(lowered, namespace)
    return lowered.requires_grad_(False)


def choose_tables(network: MACE) -> RadialTables:
    """The coarsest tables whose second derivatives are exact to `MAX_CURVATURE_ERROR`.

    Raises InexactTablesError if even the finest are not.
    """
    networks = RadialNetworks(network)
    species = range(len(network.config.elements))
    n_intervals = int(INTERVALS_PER_LENGTH * network.config.r_max)
    while n_intervals <= MAX_INTERVALS:
        tables = tabulate_elements(networks, n_intervals, species)
        functions = networks.weight_functions(all_pairs(networks.config, species))
        error = max(map(_curvature_error, functions, tables.weights))
        if error <= MAX_CURVATURE_ERROR:
            return tables
        n_intervals = int(
            1.1 * n_intervals * (error / MAX_CURVATURE_ERROR) ** (1 / CONVERGENCE_ORDER)
        )
    raise InexactTablesError(
        f"no table of up to {MAX_INTERVALS} intervals has second derivatives that are exact to "
        f"{MAX_CURVATURE_ERROR:g}"
    )


def _curvature_error(functions: Functions, table: Table) -> float:
    """Error of a table's second derivatives, relative to the largest, in random sums of functions.

    They are taken backward twice: nested forward derivatives of torch's layer norm are wrong.
    """
    generator = torch.Generator().manual_seed(0)
    spline = table.spline
    n_tables, _, width = table.coefficients.shape
    share = torch.rand(N_SAMPLES, generator=generator, dtype=torch.float64)
    r = (MIN_SAMPLED + (spline.r_max - MIN_SAMPLED) * share).requires_grad_()
    probes = torch.randn(N_PROBES, n_tables, width, generator=generator, dtype=torch.float64)
    which = torch.arange(n_tables).repeat_interleave(N_SAMPLES)

    def curvatures(values: torch.Tensor) -> torch.Tensor:
        """Second derivatives `[probes, n]` of random sums of values `[n_tables, n, width]`."""
        found: list[torch.Tensor] = []
        for sums in torch.einsum("tnw,ptw->pn", values, probes):
            (slope,) = torch.autograd.grad(sums.sum(), r, create_graph=True)
            found += torch.autograd.grad(slope.sum(), r, retain_graph=True)
        return torch.stack(found)

    right = curvatures(functions(r))
    tabulated = interpolate(table, which, r.repeat(n_tables))
    error = curvatures(tabulated.unflatten(0, (n_tables, -1))) - right
    return float(error.abs().max() / right.abs().max())
