"""The constants of a program: as an artefact stores them, and in the form of its kernels.

Kernels read tables and matrices in a form that suits the processor: the width of its vectors,
whether it has tiles. So an artefact stores what they are made from, and they are made when a
program is opened. An array and its transpose are stored once.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import safetensors.torch
import torch

from mhff.files import sha256
from mhff.ops.registration import find

PACK_MATRIX = "multiply_pack"
"""The operator that packs the constant factor of a matrix product."""
PACKINGS = "packings"
"""Entry of the stored tensors' metadata: JSON, the operator and the sources of each by its name."""


@dataclass(frozen=True)
class Packing:
    """A constant in the form of a kernel: what it is made from, and by which operator."""

    operator: str
    """Name in the library of kernels."""
    sources: tuple[torch.Tensor, ...]
    """Each is packed, and the results are joined."""

    def pack(self, namespace: str) -> torch.Tensor:
        """The constant, by the operators of a library that is loaded."""
        operator = find(namespace, self.operator)
        packed = [operator(source.contiguous()) for source in self.sources]
        return torch.cat(packed) if len(packed) > 1 else packed[0]

    def stand_in(self) -> torch.Tensor:
        """What a program is traced with: no code depends on a packed constant's size or values."""
        return self.sources[0].new_zeros(1)


@dataclass(frozen=True)
class Constants:
    """All constants of a program, by name."""

    plain: dict[str, torch.Tensor]
    packings: dict[str, Packing]

    def made(self, namespace: str, device: torch.device) -> dict[str, torch.Tensor]:
        """The constants as the program reads them; `namespace` is that of its kernels."""
        # copies, because only torch's own memory begins at cache lines
        made = {name: value.to(device, copy=True) for name, value in self.plain.items()}
        return made | {name: packing.pack(namespace) for name, packing in self.packings.items()}

    def to_bytes(self) -> bytes:
        """Content of a file; see `read_constants`."""
        store = _Store(dict(self.plain))
        packings = {
            name: [packing.operator, [store.add(source) for source in packing.sources]]
            for name, packing in self.packings.items()
        }
        return safetensors.torch.save(store.tensors, {PACKINGS: json.dumps(packings)})


def read_constants(content: bytes) -> Constants:
    """The constants in the content of a file."""
    tensors = safetensors.torch.load(content)
    length = int.from_bytes(content[:8], "little")
    stored = json.loads(json.loads(content[8 : 8 + length])["__metadata__"][PACKINGS])
    packings = {
        name: Packing(
            operator,
            tuple(tensors[key].T if transposed else tensors[key] for key, transposed in sources),
        )
        for name, (operator, sources) in stored.items()
    }
    of_packings = {key for _, sources in stored.values() for key, _ in sources}
    plain = {name: value for name, value in tensors.items() if name not in of_packings}
    return Constants(plain, packings)


@dataclass
class _Store:
    """Tensors to be stored, each once."""

    tensors: dict[str, torch.Tensor]
    known: dict[str, tuple[str, bool]] = field(default_factory=dict)
    """Name, and whether it is the transpose that is stored, by checksum."""

    def add(self, tensor: torch.Tensor) -> tuple[str, bool]:
        """Name of a tensor, and whether its transpose has that name."""
        checksum = _checksum(tensor)
        if checksum not in self.known:
            name = f"source_{len(self.tensors)}"
            # a copy, because some are views of others
            self.tensors[name] = tensor.clone(memory_format=torch.contiguous_format)
            if tensor.dim() == 2:
                self.known[_checksum(tensor.T)] = (name, True)
            self.known[checksum] = (name, False)
        return self.known[checksum]


def _checksum(tensor: torch.Tensor) -> str:
    content = tensor.contiguous()
    return f"{list(content.shape)} {content.dtype} {sha256(content.numpy().tobytes())}"
