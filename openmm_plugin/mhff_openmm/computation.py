"""The function that OpenMM calls at every step.

OpenMM pickles this object into the System's XML, and a failure while it reads one back kills the
process. So this module imports nothing that can fail, the pickled state is small, and the program
is loaded at the first call.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from mhff.errors import MHFFError
from mhff_openmm.parameters import Parameters
from mhff_openmm.program import Program, load_program

if TYPE_CHECKING:
    import numpy as np
    import openmm
    import torch

    from mhff.filekinds import SourceFile
    from mhff_openmm.adapter import Adapter

logger = logging.getLogger(__name__)


class MHFFComputation:
    """Energy and forces of a State, for `openmm.PythonForce`."""

    _adapter: Adapter | None = None
    _weights: tuple[list[tuple[str, float]], tuple[float, ...]] = ([], ())
    """The parameters of the latest step, and the weights that they give."""

    def __init__(
        self,
        program: Program,
        species: bytes,
        parameters: Parameters,
        state: tuple[float, float],
        periodic: bool,
        skin: float,
    ) -> None:
        """`species`: for each particle a byte, the position of its element in `program.elements`.

        `state`: total charge and spin multiplicity; `skin` of the neighbour list, A.
        """
        self.program = program
        self.species = species
        self.parameters = parameters
        self.state = state
        self.periodic = periodic
        self.skin = skin

    def __getstate__(self) -> dict[str, Any]:
        """Everything except the loaded program and what the latest step left."""
        return {name: value for name, value in self.__dict__.items() if name[0] != "_"}

    def __call__(self, state: openmm.State) -> tuple[float, np.ndarray]:
        """Energy, kJ/mol, and forces `[n, 3]`, kJ/mol/nm; see `evaluate`."""
        return self.evaluate(state, lambda: _positions(state))

    def evaluate(
        self, state: openmm.State, positions: Callable[[], np.ndarray]
    ) -> tuple[float, np.ndarray]:
        """Energy and forces at positions `[n, 3]`, nm, in a State that need not hold them.

        OpenMM passes on only the text of an exception, so the text is complete; the traceback goes
        to the log (level DEBUG).
        """
        try:
            return self._evaluate(state, positions)
        except MHFFError:
            raise
        except KeyboardInterrupt as interrupt:
            raise MHFFError("interrupted by the user while mhff evaluated a step") from interrupt
        except Exception as error:
            logger.debug("an evaluation failed", exc_info=True)
            raise RuntimeError(
                f"mhff could not evaluate this step: {type(error).__name__}: {error}"
            ) from error

    def _evaluate(
        self, state: openmm.State, positions: Callable[[], np.ndarray]
    ) -> tuple[float, np.ndarray]:
        import torch

        head_weights = self._head_weights(state)
        box = _box(state) if self.periodic else None
        adapter = self._adapter or self.load()
        # a caller's inference mode would forbid gradients; to leave it takes a while at every step
        leave = torch.inference_mode(False) if torch.is_inference_mode_enabled() else nullcontext()
        with leave:
            return adapter.evaluate(positions(), box, head_weights)

    def _head_weights(self, state: openmm.State) -> tuple[float, ...]:
        """The weight of each head; the parameters seldom change."""
        values = state.getParameters().items()
        known, weights = self._weights
        if known != values:
            weights = self.parameters.weights(dict(values))
            self._weights = (values, weights)
        return weights

    def head_energies(self, positions: np.ndarray, box: Sequence[Sequence[float]]) -> np.ndarray:
        """Energy of each head alone, kJ/mol, at positions `[n, 3]` and box vectors, nm."""
        import torch

        with torch.inference_mode(False):
            adapter = self._adapter or self.load()
            return adapter.head_energies(positions, box if self.periodic else None)

    def load(self, file: SourceFile | None = None) -> Adapter:
        """Load the program, compiling the model if need be; see `mhff_openmm.program`."""
        from mhff_openmm.adapter import Adapter

        symbols = [self.program.elements[index] for index in self.species]
        evaluator = load_program(self.program, file)
        self._adapter = Adapter(evaluator, symbols, self.state, self.skin)
        return self._adapter


def _box(state: openmm.State) -> Sequence[Sequence[float]]:
    """The box vectors, nm, without units; see `_positions`."""
    import openmm

    box: Sequence[Sequence[float]] = openmm._openmm.State_getPeriodicBoxVectors(state)
    return box


def _positions(state: openmm.State) -> np.ndarray:
    """Positions `[n, 3]`, nm, without units, which take longer than the list of neighbours."""
    import numpy as np
    import openmm

    positions = np.empty((state._getNumParticles(), 3))
    state._getVectorAsNumpy(openmm.State.Positions, positions)
    return positions


class TensorComputation:
    """The same for openmm-torch's `PythonTorchForce`, which passes positions as a tensor."""

    def __init__(self, computation: MHFFComputation) -> None:
        self.computation = computation

    def __call__(
        self, state: openmm.State, positions: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Energy `[]`, kJ/mol, and forces `[n, 3]`, kJ/mol/nm, float64.

        Positions `[n, 3]`, nm, may be of any floating-point type and on any device; the forces are
        on the same.
        """
        import torch

        energy, forces = self.computation.evaluate(
            state, lambda: positions.detach().to("cpu", torch.float64).numpy()
        )
        energy_tensor = torch.tensor(energy, dtype=torch.float64)
        return energy_tensor, torch.from_numpy(forces).to(positions.device)
