"""Add raw frames to a data set: apply the limits, subtract the mean force, skip duplicates.

    python merge.py [RAW.extxyz ...] DATA.extxyz

DATA.extxyz is written whole; frames already in it stay as they are, but for the energies and
stresses of periodic sets, which are corrected for the basis (`basis.py`). New frames do not move
old ones between training and test sets: which part of the split a frame belongs to depends on the
frame alone.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from basis import with_smooth_basis
from frames import fault, without_mean_force


def same_place(frame: Atoms) -> tuple[bytes, bytes]:
    """What makes two frames the same: elements and positions to 1e-6 A."""
    return frame.numbers.tobytes(), np.rint(frame.positions * 1e6).astype(np.int64).tobytes()


def merge(raw: list[Atoms], present: list[Atoms]) -> list[Atoms]:
    """The frames of a data set with the usable new ones at the end; says what is left out."""
    merged, known = list(present), {same_place(frame) for frame in present}
    for number, frame in enumerate(raw, start=1):
        reason = "already there" if same_place(frame) in known else fault(frame)
        if reason:
            print(f"left out frame {number} ({frame.info['config_type']}): {reason}")
            continue
        known.add(same_place(frame))
        merged.append(without_mean_force(frame))
    return merged


def main() -> None:
    parser = argparse.ArgumentParser(description="Add raw frames to a data set.")
    parser.add_argument("raw", nargs="*", type=Path)
    parser.add_argument("data", type=Path)
    arguments = parser.parse_args()
    present = ase.io.read(arguments.data, ":") if arguments.data.exists() else []
    raw = [frame for path in arguments.raw for frame in ase.io.read(path, ":")]
    merged = [
        with_smooth_basis(frame) if frame.pbc.all() else frame for frame in merge(raw, present)
    ]
    unfinished = arguments.data.with_suffix(".unfinished")
    ase.io.write(unfinished, merged, format="extxyz")
    os.replace(unfinished, arguments.data)
    print(f"{arguments.data}: {len(present)} frames before, {len(merged)} now")


if __name__ == "__main__":
    main()
