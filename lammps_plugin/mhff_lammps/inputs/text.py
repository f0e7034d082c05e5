"""The text of the data file and of the input script."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from mhff_lammps.inputs.content import Content

SCRIPT = "in.lammps"
DATA = "structure.data"
MODEL = "model.mliap"
LIGHT_STEP = 0.0005
"""Time step for structures with hydrogen, ps."""
HEAVY_STEP = 0.001
"""Time step for structures without hydrogen, ps."""
TEMPERATURE = 300
"""Temperature of velocities that the structure lacks, K."""
RANGES_PER_LINE = 8


def data_file(content: Content, source: str) -> str:
    """The data file; every number has the digits of float64."""
    box = content.box
    lines = [f"{_title(content, source)}, units metal", ""]
    lines += [f"{len(content.positions)} atoms", f"{len(content.types)} atom types", ""]
    for low, high, axis in zip(box.low, box.high, "xyz", strict=True):
        lines.append(f"{_numbers([low, high])} {axis}lo {axis}hi")
    if box.is_triclinic:
        lines.append(f"{_numbers(box.tilts)} xy xz yz")
    lines += ["", "Masses", ""]
    for number, kind in enumerate(content.types, start=1):
        lines.append(f"{number} {_numbers([kind.mass])}  # {kind.label}")
    lines += ["", "Atoms # atomic", ""]
    rows = zip(content.type_of_atom, content.positions, strict=True)
    for number, (kind_index, position) in enumerate(rows, start=1):
        lines.append(f"{number} {kind_index + 1} {_numbers(position)}")
    if content.velocities is not None:
        lines += ["", "Velocities", ""]
        for number, velocity in enumerate(content.velocities, start=1):
            lines.append(f"{number} {_numbers(velocity)}")
    return "\n".join(lines) + "\n"


def script(content: Content, source: str) -> str:
    """The input script: an evaluation, or dynamics at constant energy."""
    return "\n".join([*_head(content, source), *_pair_style(content), *_dynamics(content)]) + "\n"


def _head(content: Content, source: str) -> Iterator[str]:
    boundary = " ".join("p" if periodic else "m" for periodic in content.box.pbc)
    yield f"# {_title(content, source)}"
    yield "#"
    yield f"#   lmp -in {SCRIPT}                      energy and pressure of this structure"
    yield f"#   lmp -in {SCRIPT} -var steps 10000     dynamics at constant energy (NVE)"
    yield from (f"# note: {note}" for note in content.notes)
    yield ""
    yield "variable      steps index 0"
    if _needs_velocities(content):
        yield _commented(f"variable      temperature index {TEMPERATURE}", "K, at the start")
    yield ""
    yield _commented("units         metal", "eV, A, ps, bar, K, g/mol: the model's own units")
    yield "atom_style    atomic"
    yield _commented("atom_modify   map yes", "mhff finds atoms by their IDs")
    yield _commented(f"boundary      {boundary}", _boundary_words(content))
    read = "box, masses and positions"
    if content.velocities is not None:
        read = "box, masses, positions and velocities"
    yield _commented(f"read_data     {DATA}", read)
    yield ""


def _boundary_words(content: Content) -> str:
    if content.box.pbc.all():
        return "p: periodic"
    return "p: periodic, m: open, the box grows with the atoms"


def _pair_style(content: Content) -> Iterator[str]:
    labels = " ".join(kind.label for kind in content.types)
    yield f"pair_style    mliap unified {MODEL} 0"
    yield "# a label per atom type, element@head; pair_coeff may change heads between runs"
    yield f"pair_coeff    * * {labels}"
    yield ""
    yield "# the model needs every pair within its cutoff, so neighbour lists must never be too old"
    yield "neigh_modify  every 1 delay 0 check yes"
    yield ""


def _dynamics(content: Content) -> Iterator[str]:
    moving = "all"
    if content.frozen.any():
        moving = "mobile"
        yield "# atoms that stay where they are; for minimize add: fix hold frozen setforce 0 0 0"
        yield from _group("frozen", np.flatnonzero(content.frozen) + 1)
        yield "group         mobile subtract all frozen"
    if _needs_velocities(content):
        yield f"velocity      {moving} create ${{temperature}} 4928459 mom yes dist gaussian"
    has_hydrogen = any(kind.element == "H" for kind in content.types)
    step = LIGHT_STEP if has_hydrogen else HEAVY_STEP
    yield _commented(f"timestep      {step}", "ps")
    yield f"fix           move {moving} nve"
    yield ""
    elements = " ".join(kind.element for kind in content.types)
    yield "dump          trajectory all custom 100 trajectory.lammpstrj id element xu yu zu"
    yield f"dump_modify   trajectory element {elements} sort id"
    yield "thermo_style  custom step time temp pe etotal press"
    yield "thermo        100"
    yield "run           ${steps}"


def _needs_velocities(content: Content) -> bool:
    """Whether the script gives atoms velocities; one alone keeps none when momentum is removed."""
    return content.velocities is None and int((~content.frozen).sum()) > 1


def _group(name: str, ids: np.ndarray) -> Iterator[str]:
    """Commands that put atoms into a group, as ranges of their IDs."""
    breaks = np.flatnonzero(np.diff(ids) > 1) + 1
    ranges = [f"{part[0]}:{part[-1]}" for part in np.split(ids, breaks)]
    for first in range(0, len(ranges), RANGES_PER_LINE):
        yield f"group         {name} id {' '.join(ranges[first : first + RANGES_PER_LINE])}"


def _commented(command: str, comment: str) -> str:
    return f"{command:<44}# {comment}"


def _title(content: Content, source: str) -> str:
    """One line without anything that LAMMPS reads in a comment: quotes, and & at its end."""
    name = re.sub(r"[^\w .,+@/()=-]", "_", source, flags=re.ASCII)
    return f"{content.formula}, {len(content.positions)} atoms of {name}, by mhff lammps-input"


def _numbers(values: Sequence[float] | np.ndarray) -> str:
    return " ".join(repr(float(value)) for value in values)
