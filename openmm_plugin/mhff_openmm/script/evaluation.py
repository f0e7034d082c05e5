"""Evaluating the script of a TorchForce outside OpenMM, for the energies of its heads."""

from __future__ import annotations

import numpy as np
import openmm
import torch

from mhff_openmm.parameters import MARK, Parameters
from mhff_openmm.plugin import imported_plugin


class ScriptComputation:
    """The script of a TorchForce, with the same questions as an `MHFFComputation`."""

    def __init__(self, script: torch.jit.ScriptModule, names: tuple[str, ...], periodic: bool):
        """`names` of all parameters, in the order of the script's arguments."""
        self.script = script
        self.periodic = periodic
        self.parameters = _parameters(script, names)

    def head_energies(self, positions: np.ndarray, box: np.ndarray) -> np.ndarray:
        """Energy of each head alone, kJ/mol, at all positions `[n, 3]` and box vectors, nm."""
        n_heads = len(self.parameters.heads)
        arguments = [torch.from_numpy(positions)]
        if self.periodic:
            arguments.append(torch.from_numpy(box))
        with torch.inference_mode(False), torch.enable_grad():
            values = [
                torch.zeros((), dtype=torch.float64, requires_grad=True)
                for _ in self.parameters.names
            ]
            energy, _ = self.script(*arguments, *values)
            # the energy is the sum of the heads' energies, each times its weight
            energies = torch.autograd.grad(energy, values[:n_heads])
        return torch.stack(energies).numpy()


def script_of(force: openmm.Force) -> ScriptComputation | None:
    """The script of a TorchForce of mhff; None for any other force."""
    plugin = imported_plugin()
    if plugin is None or not plugin.TorchForce.isinstance(force):
        return None
    ours = plugin.TorchForce.cast(force)
    names = tuple(ours.getGlobalParameterName(n) for n in range(ours.getNumGlobalParameters()))
    if not any(MARK in name for name in names):
        return None
    return ScriptComputation(ours.getModule(), names, ours.usesPeriodicBoundaryConditions())


def _parameters(script: torch.jit.ScriptModule, names: tuple[str, ...]) -> Parameters:
    """The parameters that have these names; the script's head map says where a path leads."""
    name = names[0].partition(MARK)[0]
    heads = tuple(each.partition(MARK)[2] for each in names if MARK in each)
    if len(names) == len(heads):
        return Parameters(name, heads)
    along = script.step.matrix[:, -1].tolist()
    return Parameters(name, heads, (heads[along.index(-1.0)], heads[along.index(1.0)]))
