"""Triton code of distances and harmonics of edge vectors, and of their adjoint.

A thread treats one edge, with its 16 harmonics (l_max 3) in registers. Memory limits it: 80 bytes
per edge.
"""

from __future__ import annotations

import torch

from mhff.ops.gpu.module import JIT, TYPES, indented
from mhff.ops.shapes import GeometryShape

EDGES_AT_ONCE = 128


class GeometryCode:
    """Code of one l_max: functions `forward` and `adjoint`."""

    def __init__(self, shape: GeometryShape, dtype: torch.dtype) -> None:
        self.type = TYPES[dtype]
        # Triton's own are exact in float64, but approximate in float32: u would not have length 1,
        # and the adjoint, which divides what is left of a difference by r, would be 100 times less
        # exact for atoms that nearly coincide
        approximate = dtype == torch.float32
        self.square_root = "tl.sqrt_rn" if approximate else "tl.sqrt"
        self.quotient = "tl.div_rn" if approximate else "tl.fdiv"
        self.n_harmonics = shape.n_harmonics
        self.terms = shape.recursion_terms

    def code(self) -> str:
        """Both functions."""
        norm = [(2 * int(b**0.5) + 1) ** 0.5 for b in range(self.n_harmonics)]
        at = f"edge * {self.n_harmonics}"
        forward = [*self._start(), "tl.store(r + edge, distance, mask=valid)"]
        forward += [
            f"tl.store(harmonics + {at} + {b}, {norm[b]!r} * y{b}, mask=valid)"
            for b in range(self.n_harmonics)
        ]
        adjoint = [*self._start(), "along = tl.load(d_r + edge, mask=valid, other=0)"]
        adjoint += [
            f"d{b} = {norm[b]!r} * tl.load(d_harmonics + {at} + {b}, mask=valid, other=0)"
            for b in range(self.n_harmonics)
        ]
        adjoint += [f"e{k} = tl.zeros([{EDGES_AT_ONCE}], {self.type})" for k in range(3)]
        for out, left, right, value in reversed(self.terms):
            adjoint.append(f"d{left} += {value!r} * u{right} * d{out}")
            adjoint.append(f"e{right} += {value!r} * y{left} * d{out}")
        adjoint += [f"e{k} += d{1 + k}" for k in range(3)]
        adjoint.append("radial = u0 * e0 + u1 * e1 + u2 * e2")
        adjoint += [
            f"tl.store(d_vectors + edge * 3 + {k}, (e{k} - u{k} * radial) / distance + u{k} * "
            "along, mask=valid)"
            for k in range(3)
        ]
        return "\n\n\n".join(
            f"{JIT}def {name}({arguments}, n_edges):\n" + "\n".join(indented(body, 1))
            for name, arguments, body in (
                ("forward", "vectors, harmonics, r", forward),
                ("adjoint", "d_harmonics, d_r, vectors, d_vectors", adjoint),
            )
        )

    def _start(self) -> list[str]:
        """Lines that make `distance`, unit vector `u0`..`u2` and harmonics of norm 1 `y0`, ..."""
        lines = [
            f"edge = tl.program_id(0).to(tl.int64) * {EDGES_AT_ONCE} + tl.arange(0, "
            f"{EDGES_AT_ONCE})",
            "valid = edge < n_edges",
            *[f"v{k} = tl.load(vectors + edge * 3 + {k}, mask=valid, other=1)" for k in range(3)],
            f"distance = {self.square_root}(v0 * v0 + v1 * v1 + v2 * v2)",
            *[f"u{k} = {self.quotient}(v{k}, distance)" for k in range(3)],
            f"y0 = tl.full([{EDGES_AT_ONCE}], 1, {self.type})",
            *[f"y{1 + k} = u{k}" for k in range(3)],
        ]
        begun = set()
        for out, left, right, value in self.terms:
            lines.append(f"y{out} {'+=' if out in begun else '='} {value!r} * y{left} * u{right}")
            begun.add(out)
        return lines
