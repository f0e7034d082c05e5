"""Triton code of a convolution's adjoint.

It walks along senders, whose features and gradients stay in registers, and fetches the gradient of
the receivers' messages (20 kB per edge, from L2), which limits it. Without a gradient of the
features (in a first layer) it walks along receivers and fetches features, of which there are fewer.

With dM the gradient of a message, x_a = R h_a and D_ba = sum_m CG[b, m, a] dM[m]:

    dY_b = sum_(a, c) D_ba x_a;  dx_a = sum_b Y_b D_ba
    dh_a += R dx_a;  dr = sum_c R' sum_a h_a dx_a
"""

from __future__ import annotations

from mhff.ops.gpu.edge_loop import EdgeLoop, PathCode
from mhff.ops.gpu.spline import names, slopes


def scatter_along_senders(loop: EdgeLoop, group: int) -> list[str]:
    """Gradients of the edges that an atom sends along, and of its features."""
    components = loop.components(group)
    lines = [*loop.channel_lines(), *[loop.zeros(f"d{i}") for i in components]]
    lines += [f"h{i} = {loop.load(loop.feature('features', i, 'atom'))}" for i in components]
    lines += loop.over_edges(_scatter(loop, group, along_senders=True))
    lines += [f"part = d_features + {group} * n_all * {loop.shape.n_components * loop.channels}"]
    for i in range(loop.shape.n_components):
        value = f"d{i}" if i in components else f"tl.zeros([{loop.tile}], {loop.type})"
        lines.append(loop.store(loop.feature("part", i, "atom"), value))
    return lines


def scatter_along_receivers(loop: EdgeLoop, group: int) -> list[str]:
    """Gradients of the edges that an atom receives from."""
    gradients = [
        f"m_{path.index}_{m} = {loop.load(loop.message('gradient', path, m, 'atom'))}"
        for path in loop.groups[group]
        for m in range(2 * path.l3 + 1)
    ]
    return [
        *loop.channel_lines(),
        *gradients,
        *loop.over_edges(_scatter(loop, group, along_senders=False)),
    ]


def _scatter(loop: EdgeLoop, group: int, along_senders: bool) -> list[str]:
    """One turn of the loop."""
    degree = loop.groups[group][0].l2
    harmonics = range(degree**2, (degree + 1) ** 2)
    body = [*loop.edge(harmonics), slopes()]
    if not along_senders:
        body += [
            f"h{i} = {loop.load(loop.feature('features', i, 'sender'))}"
            for i in loop.components(group)
        ]
    sums: set[str] = set()
    for path in loop.groups[group]:
        body += _scatter_path(loop, path, along_senders, sums)
    body.append(f"part = ({group * loop.n_tiles} + tile) * n_edges + edge")
    body.append(f"tl.store(d_r + part, {loop.spline.per_length!r} * tl.sum(d_distance))")
    body.append(f"part = d_harmonics + (tile * n_edges + edge) * {loop.n_harmonics}")
    body += [f"tl.store(part + {b}, tl.sum(e{b - harmonics[0]}))" for b in harmonics]
    return body


def _scatter_path(loop: EdgeLoop, path: PathCode, along_senders: bool, sums: set[str]) -> list[str]:
    lines = [
        f"value, slope = radial_and_slope(row + {path.index * loop.channels}, inside, "
        f"{names('w')}, {names('v')})",
    ]
    if along_senders:
        lines += [
            f"m_{path.index}_{m} = {loop.load(loop.message('gradient', path, m, 'receiver'))}"
            for m in range(2 * path.l3 + 1)
        ]
    for a in range(2 * path.l1 + 1):
        component = path.l1**2 + a
        lines.append(f"x = value * h{component}")
        started = False
        for b in range(2 * path.l2 + 1):
            terms = [
                f"{coupling.value!r} * m_{path.index}_{coupling.m}"
                for coupling in path.couplings
                if (coupling.b, coupling.a) == (b, a)
            ]
            if not terms:
                continue
            lines.append(f"coupled = {' + '.join(terms)}")
            lines.append(f"dx {'+=' if started else '='} y{b} * coupled")
            lines.append(_add(f"e{b}", "coupled * x", sums))
            started = True
        if along_senders:
            lines.append(f"d{component} += value * dx")
        lines.append(f"of_value {'+=' if a else '='} h{component} * dx")
    return [*lines, _add("d_distance", "slope * of_value", sums)]


def _add(name: str, value: str, started: set[str]) -> str:
    """Add to a sum, or begin it."""
    operator = "+=" if name in started else "="
    started.add(name)
    return f"{name} {operator} {value}"
