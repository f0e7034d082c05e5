"""Running artefacts: a compiled program as an `mhff.evaluator.Evaluator`."""

from __future__ import annotations

import io
import tempfile
import threading
import warnings
import weakref
from collections.abc import Callable
from pathlib import Path

import safetensors.torch
import torch

from mhff.errors import MHFFError
from mhff.evaluator import resolve_dtype
from mhff.heads import Heads
from mhff.inputs import check_inputs
from mhff.ops import contraction, convolution, ghosts  # noqa: F401  (programs call the operators these register)
from mhff.ops.cpu.operators import load_library, operators
from mhff.state import check_state
from mhff_deploy.artefact.content import (
    CONSTANTS,
    KERNELS,
    NATIVE,
    Manifest,
    is_artefact,
    read_manifest,
    read_member,
)
from mhff_deploy.artefact.cuda_graphs import GraphedProgram

Program = Callable[..., tuple[torch.Tensor, torch.Tensor]]


class ArtefactEvaluator:
    """A compiled program with what its manifest says of it."""

    def __init__(self, program: Program, manifest: Manifest) -> None:
        self.program, self.manifest = program, manifest
        self.path: Path | None = None  # of the file, which another process can open
        self.heads, self.elements, self.r_max = (
            Heads(manifest.heads),
            manifest.elements,
            manifest.r_max,
        )
        self.dtype, self.device = resolve_dtype(manifest.dtype), torch.device(manifest.device)
        self.default_head = manifest.default_head
        self.state_embeddings = manifest.state_embeddings
        self.default_state = (manifest.default_charge, manifest.default_spin)
        self._default_state = torch.tensor(
            [self.default_state], dtype=torch.float64, device=self.device
        )
        self._no_ghosts = ghosts.no_ghosts(self.device)
        # AOTInductor's runner would make a second thread wait with Python's lock, which the first
        # one's ghost exchange wants
        self._one_at_a_time = threading.Lock()

    def __reduce__(self) -> tuple[Callable[..., ArtefactEvaluator | None], tuple[Path, str, None]]:
        """Another process opens the file again; raises MHFFError for a program that came from no
        file.
        """
        if self.path is None:
            raise MHFFError(
                "a compiled program that was not opened from a file cannot be sent to another "
                "process; open it there"
            )
        return open_artefact, (self.path, str(self.device), None)

    def evaluate(
        self,
        edge_vectors: torch.Tensor,
        edge_index: torch.Tensor,
        species: torch.Tensor,
        head_weights: torch.Tensor,
        ghost_plan: torch.Tensor | None = None,
        state: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """See `mhff.evaluator.Evaluator.evaluate`."""
        check_inputs(
            edge_vectors,
            edge_index,
            species,
            head_weights,
            ghost_plan,
            state,
            self.heads.names,
            self.elements,
        )
        if state is None:
            state = self._default_state.repeat(species.shape[0], 1)
        else:
            check_state(state, self.state_embeddings)
        with self._one_at_a_time, torch.no_grad():
            node_energies, edge_gradients = self.program(
                edge_vectors.detach().to(self.device, self.dtype).contiguous(),
                edge_index.to(self.device).contiguous(),
                species.to(self.device).contiguous(),
                head_weights.detach().to(self.device, torch.float64).contiguous(),
                self._no_ghosts if ghost_plan is None else ghost_plan.to(self.device),
                state.detach().to(self.device, torch.float64).contiguous(),
            )
        return node_energies, edge_gradients


def open_artefact(path: Path, device: str, dtype: str | None) -> ArtefactEvaluator | None:
    """Evaluator of an artefact file, or None if the file is something else (entry-point group
    `mhff.evaluators`).

    Raises MHFFError if it is damaged, of another torch, or does not fit the device or precision
    asked for.
    """
    content = path.read_bytes()
    if not is_artefact(content):
        return None
    evaluator = load_artefact(content, path, device, dtype)
    evaluator.path = path.absolute()
    return evaluator


def load_artefact(
    content: bytes, name: str | Path, device: str | None = None, dtype: str | None = None
) -> ArtefactEvaluator:
    """Evaluator of an artefact's content; `name` is for error messages."""
    manifest = read_manifest(content, name)
    check_manifest(manifest, name, device, dtype)
    try:
        if manifest.kernels:
            load_kernels(content, manifest.kernels)
        program = (
            Package(content, torch.device(manifest.device))
            if manifest.form == "aoti"
            else load_script(content)
        )
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise MHFFError(
            f"'{name}' cannot be loaded on this machine ({reason}); compile it again here"
        ) from error
    except OSError as error:
        raise MHFFError(
            f"'{name}' cannot be loaded ({error.strerror}); make room in the temporary folder "
            f"{tempfile.gettempdir()}"
        ) from error
    if manifest.form == "aoti" and torch.device(manifest.device).type == "cuda":
        program = GraphedProgram(program, manifest.r_max)
    evaluator = ArtefactEvaluator(program, manifest)
    if manifest.kernels:
        weakref.finalize(evaluator, operators(manifest.kernels).release_memory)
    return evaluator


class Package:
    """An AOTInductor package with the constants that lie beside it."""

    def __init__(self, content: bytes, device: torch.device) -> None:
        """Raises RuntimeError for a package that does not fit this machine."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "program.pt2"
            file.write_bytes(content)
            # the events by which threads wait for each other cannot be part of a CUDA graph; on a
            # GPU, one thread at a time
            self.program = torch._inductor.aoti_load_package(
                str(file), run_single_threaded=device.type == "cuda"
            )
        stored = safetensors.torch.load(read_member(content, CONSTANTS))
        # copies, because only torch's own memory begins at cache lines; kept, because the program
        # does not copy them
        self.constants = {
            name: stored[name].to(device, copy=True) for name in self.program.get_constant_fqns()
        }
        self.program.load_constants(self.constants, check_full_update=True, user_managed=True)

    def __call__(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.program(*inputs)


def load_script(content: bytes) -> Program:
    """A TorchScript program; raises RuntimeError for one that does not fit this machine."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is deprecated; openmm-torch needs it
        return torch.jit.load(io.BytesIO(content))


def load_kernels(content: bytes, namespace: str) -> None:
    """Load the shared library in an artefact, unless a program with the same kernels was loaded
    before.
    """
    with (
        tempfile.TemporaryDirectory() as folder
    ):  # a loaded library does not need its file any more
        library = Path(folder) / "kernels.so"
        library.write_bytes(read_member(content, KERNELS))
        load_library(library, namespace)


def check_manifest(
    manifest: Manifest, name: str | Path, device: str | None, dtype: str | None
) -> None:
    """Refuse an artefact that cannot give what is asked for, saying why."""
    if manifest.torch_version != torch.__version__:
        raise MHFFError(
            f"'{name}' was compiled with torch {manifest.torch_version}, this is torch "
            f"{torch.__version__}; compile it again"
        )
    if device is not None and torch.device(device).type != torch.device(manifest.device).type:
        raise MHFFError(
            f"'{name}' was compiled for {manifest.device}, asked for {device}; compile it with "
            f"--device {device}"
        )
    if dtype == "float64" and manifest.dtype == "float32":
        raise MHFFError(
            f"'{name}' was compiled in float32, asked for float64; compile it with --dtype float64"
        )
    capability = torch.backends.cpu.get_cpu_capability()
    if manifest.isa == NATIVE and _rank(capability) < _rank(manifest.processor):
        raise MHFFError(
            f"'{name}' was compiled for a processor with {manifest.processor}, this one has "
            f"{capability}; compile it here, "
            "or with --isa x86-64-v3"
        )
    if torch.device(manifest.device).type != "cuda":
        return
    if not torch.cuda.is_available():
        raise MHFFError(
            f"'{name}' was compiled for cuda, and torch finds no GPU here; compile it with "
            "--device cpu"
        )
    if manifest.form == "aoti" and manifest.processor != (here := processor(manifest.device)):
        raise MHFFError(
            f"'{name}' was compiled for a GPU of {manifest.processor}, this one is {here}; compile "
            "it again here"
        )


def processor(device: str | torch.device) -> str:
    """What a program compiled here runs on: what the CPU can do, in torch's words, or a GPU's
    architecture, as `sm_90`.
    """
    if torch.device(device).type == "cuda":
        return "sm_{}{}".format(*torch.cuda.get_device_capability(device))
    return torch.backends.cpu.get_cpu_capability()


def _rank(capability: str) -> int:
    """Order of what processors can do, in torch's words; one that torch may name in future is above
    all others.
    """
    known = ("DEFAULT", "NO AVX", "AVX2", "AVX512")
    return known.index(capability) if capability in known else len(known)
