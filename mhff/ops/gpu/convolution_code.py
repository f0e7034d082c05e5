"""Triton code of a convolution with radial functions from a table: all kernels of one shape.

The loop over edges is that of `edge_loop`, the adjoint that of `convolution_adjoint_code`.
"""

from __future__ import annotations

from collections.abc import Callable

from mhff.ops.gpu.convolution_adjoint_code import scatter_along_receivers, scatter_along_senders
from mhff.ops.gpu.edge_loop import EdgeLoop
from mhff.ops.gpu.module import JIT, indented
from mhff.ops.gpu.spline import WEIGHTS, names, taps
from mhff.ops.operators import EDGES, TABLE
from mhff.ops.spline import TAPS

INPUTS = ", ".join(["features", *EDGES, *TABLE])
SIZES = "n_local, n_all, n_edges, n_species"


def convolution_code(loop: EdgeLoop) -> str:
    """Module with the functions `forward`, `adjoint` and `adjoint_of_edges` of a shape."""
    d_edges = "d_harmonics, d_r"
    functions = [
        _radial(loop),
        *_kernel(loop, "forward", f"{INPUTS}, messages", _gather),
        *_kernel(
            loop, "adjoint", f"gradient, {INPUTS}, d_features, {d_edges}", scatter_along_senders
        ),
        *_kernel(
            loop, "adjoint_of_edges", f"gradient, {INPUTS}, {d_edges}", scatter_along_receivers
        ),
    ]
    return WEIGHTS + "\n\n" + "\n\n\n".join(functions) + "\n"


def _kernel(
    loop: EdgeLoop, kind: str, buffers: str, body: Callable[[EdgeLoop, int], list[str]]
) -> list[str]:
    """Functions of each group of paths, and the kernel that calls one of them."""
    arguments = f"{buffers}, {SIZES}"
    groups = range(len(loop.groups))
    heads = [f"@triton.jit\ndef {kind}_{group}({arguments}, atom, tile):\n" for group in groups]
    bodies = ["\n".join(indented(body(loop, group), 1)) for group in groups]
    lines = [f"{n} = tl.cast({n}, tl.int64)" for n in SIZES.split(", ")]
    lines += [
        "atom = tl.program_id(0).to(tl.int64)",
        f"if atom >= {'n_all' if kind == 'adjoint' else 'n_local'}:",
        "    return",
        "tile = tl.program_id(1)",
        "group = tl.program_id(2)",
    ]
    for group in groups:
        lines += [f"if group == {group}:", f"    {kind}_{group}({arguments}, atom, tile)"]
    kernel = f"{JIT}def {kind}({arguments}):\n" + "\n".join(indented(lines, 1))
    return [*(head + text for head, text in zip(heads, bodies, strict=True)), kernel]


def _radial(loop: EdgeLoop) -> str:
    """Functions that read a table: value, and value and slope. L1 keeps rows, which edges share."""
    width = len(loop.paths) * loop.channels
    mask = ", mask=inside, other=0" if loop.in_tile else ""
    reads = [
        f't{tap} = tl.load(row + {tap * width}{mask}, eviction_policy="evict_last")'
        for tap in range(TAPS)
    ]
    value = [
        "@triton.jit",
        f"def radial(row, inside, {names('w')}):",
        *indented([*reads, f"return {taps('w')}"], 1),
    ]
    slope = ["@triton.jit", f"def radial_and_slope(row, inside, {names('w')}, {names('v')}):"]
    slope += indented([*reads, f"return {taps('w')}, {taps('v')}"], 1)
    return "\n".join([*value, "", "", *slope])


def _gather(loop: EdgeLoop, group: int) -> list[str]:
    """Messages of a group's paths to one atom: M[m] += sum_a (sum_b CG[b, m, a] Y_b) R h_a."""
    rows = [(path, m) for path in loop.groups[group] for m in range(2 * path.l3 + 1)]
    degree = loop.groups[group][0].l2
    body = loop.edge(range(degree**2, (degree + 1) ** 2))
    body += [
        f"h{i} = {loop.load(loop.feature('features', i, 'sender'))}" for i in loop.components(group)
    ]
    for path in loop.groups[group]:
        body.append(
            f"radial_{path.index} = radial(row + {path.index * loop.channels}, inside, "
            f"{names('w')})"
        )
        for a in range(2 * path.l1 + 1):
            body.append(f"x = radial_{path.index} * h{path.l1**2 + a}")
            for m in range(2 * path.l3 + 1):
                terms = [
                    f"{coupling.value!r} * y{coupling.b}"
                    for coupling in path.couplings
                    if (coupling.m, coupling.a) == (m, a)
                ]
                if terms:
                    body.append(f"s_{path.index}_{m} += ({' + '.join(terms)}) * x")
    lines = [
        *loop.channel_lines(),
        *[loop.zeros(f"s_{path.index}_{m}") for path, m in rows],
        *loop.over_edges(body),
    ]
    for path, m in rows:
        lines.append(loop.store(loop.message("messages", path, m, "atom"), f"s_{path.index}_{m}"))
    return lines
