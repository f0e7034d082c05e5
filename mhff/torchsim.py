"""A model in the interface of torch-sim, which relaxes and simulates many systems side by side.

    import torch_sim
    from mhff.torchsim import MHFFModel

    model = MHFFModel("mini", head="molecules")
    final = torch_sim.optimize(system=structures, model=model, optimizer=torch_sim.optimizers.fire)

A state of torch-sim 0.3 has nothing that could name a head, a charge or a spin for each system, so
a model has one of each. Models of several heads may share an evaluator.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from mhff.atoms import SpeciesOfNumbers
from mhff.errors import MHFFError
from mhff.evaluator import Evaluator, ModelSource
from mhff.heads import HeadSpec
from mhff.many.evaluation import Outcome, Request, evaluate
from mhff.many.stacks import Stack
from mhff.opening import open_evaluator
from mhff.options import CompileOptions
from mhff.state import given_state

try:
    from torch_sim.models.interface import ModelInterface
except ModuleNotFoundError as error:
    raise MHFFError(
        f"mhff.torchsim needs {error.name}, which is not installed; get it with pip install "
        "'mhff[torchsim]'"
    ) from error

VOIGT = [[0, 5, 4], [5, 1, 3], [4, 3, 2]]
"""Where the components of a stress are in Voigt's order."""


class MHFFModel(ModelInterface):
    """Energies, forces and stresses of a state of torch-sim by one head or mix.

    Stresses are NaN where there are no periodic boundaries.
    """

    def __init__(
        self,
        model: ModelSource | Evaluator,
        head: HeadSpec | None = None,
        device: torch.device | str = "cpu",
        dtype: torch.dtype | None = None,
        form: str | None = None,
        compute_stress: bool = True,
    ) -> None:
        """Open a model: a path, `"mini"`, `mhff.load(...)` or a compiled file.

        Args:
            model, head, form: see `MHFFCalculator`.
            device, dtype: of states and of the model; float64 by default, or the precision of a
                compiled file.
            compute_stress: whether a call returns stresses beside energies and forces.

        Raises:
            MHFFError: for an unknown head, device, precision or form.
        """
        super().__init__()
        precision = None if dtype is None else str(dtype).removeprefix("torch.")
        options = CompileOptions.model_validate(
            {"device": str(device), "precision": precision, "form": form}
        )
        self.evaluator = open_evaluator(model, options)
        can = self.evaluator.capabilities
        self._row = can.head_row(head).numpy()
        self._state = can.default_state
        self._species = SpeciesOfNumbers(can.elements)
        self._device = torch.device(can.device)
        self._dtype = can.dtype
        self._compute_forces = True
        self._compute_stress = compute_stress
        self._memory_scales_with = "n_atoms"

    def set_state(self, charge: float | None = None, spin: float | None = None) -> None:
        """Give every system a total charge and a spin multiplicity 2S + 1, if the model takes them.

        None stands for the default. Raises MHFFError for a model that does not take them.
        """
        can = self.evaluator.capabilities
        self._state = given_state(charge, spin, can.state_embeddings, can.default_state)

    @property
    def compute_forces(self) -> bool:
        """Whether forces are returned."""
        return self._compute_forces

    @compute_forces.setter
    def compute_forces(self, compute_forces: bool) -> None:
        """Choose whether forces are returned."""
        self._compute_forces = compute_forces

    @property
    def compute_stress(self) -> bool:
        """Whether stresses are returned."""
        return self._compute_stress

    @compute_stress.setter
    def compute_stress(self, compute_stress: bool) -> None:
        """Choose whether stresses are returned."""
        self._compute_stress = compute_stress

    def forward(self, state: Any, **_: Any) -> dict[str, torch.Tensor]:
        """`energy [S]`, eV, `forces [n, 3]`, eV/A, `stress [S, 3, 3]`, eV/A^3, of S systems.

        `state` is a `SimState`, or a dictionary with its fields. Raises MHFFError, naming the
        system, for elements and geometries that the model cannot take.
        """
        fields = state if isinstance(state, dict) else vars(state)
        stack = self._stack(fields)
        request = Request(forces=self._compute_forces, stress=self._compute_stress)
        outcome = evaluate(self.evaluator, request, stack)
        for system, trouble in outcome.troubles.items():
            raise MHFFError(f"system {system}: {trouble}")
        return self._results(outcome, fields["positions"])

    def _stack(self, fields: dict[str, Any]) -> Stack:
        positions = fields["positions"].detach().to("cpu", torch.float64)
        numbers = fields["atomic_numbers"].cpu().numpy()
        cells = fields["cell"].detach().to("cpu", torch.float64).reshape(-1, 3, 3).mT
        system = fields.get("system_idx")
        if system is None:
            system = torch.zeros(len(numbers), dtype=torch.int64)
        n_systems = len(cells)
        sizes = torch.bincount(system.cpu(), minlength=n_systems).numpy()
        pbc = torch.as_tensor(fields["pbc"]).cpu().expand(3).numpy()
        return Stack(
            sizes,
            self._species(numbers),
            positions.contiguous().numpy(),
            cells.contiguous().numpy(),
            np.tile(pbc, (n_systems, 1)),
            np.tile(np.array(self._state), (n_systems, 1)),
            np.tile(self._row, (len(numbers), 1)),
        )

    def _results(self, outcome: Outcome, like: torch.Tensor) -> dict[str, torch.Tensor]:
        """The results in the precision and on the device of the positions."""
        (prediction,) = outcome.predictions
        arrays = {"energy": prediction.energy}
        if prediction.forces is not None:
            arrays["forces"] = prediction.forces
        results = {name: torch.from_numpy(values).to(like) for name, values in arrays.items()}
        if prediction.stress is not None:
            results["stress"] = torch.from_numpy(prediction.stress)[:, VOIGT].to(like)
        return results
