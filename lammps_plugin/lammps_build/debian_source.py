"""Fetch the LAMMPS source from Debian's `unstable` suite."""

from __future__ import annotations

import re
from pathlib import Path

from .apt import open_unstable
from .environment import BuildError, say

EXPECTED = 20260704  # the version that mhff was tested with
ELSEWHERE = "give the archive of LAMMPS 4 Jul 2026 with --source, or put a suitable lmp on PATH"


def choose_version(versions: list[str]) -> str:
    """The tested version if it is there; otherwise the newest, with a warning.

    Raises BuildError if all are older than the tested one.
    """
    upstream = {
        version: int(match.group(1))
        for version in versions
        if (match := re.match(r"(?:\d+:)?(\d{8})\b", version))
    }
    exact = [version for version, date in upstream.items() if date == EXPECTED]
    if exact:
        return exact[-1]
    newest = max(upstream, key=lambda version: upstream[version], default="none")
    if upstream.get(newest, 0) < EXPECTED:
        raise BuildError(
            f"expected LAMMPS {EXPECTED} in Debian unstable, found {newest}: {ELSEWHERE}."
        )
    say(
        f"WARNING: expected LAMMPS {EXPECTED} in Debian unstable, found {newest}; taking it, but "
        "mhff is not tested with it"
    )
    return newest


def fetch_source(folder: Path) -> Path:
    """Return the path of the source archive in `folder`, downloaded if it is not there."""
    suite = open_unstable(folder, "deb-src", ELSEWHERE)
    index = suite.run("apt-cache", "showsrc", "lammps")
    version = choose_version(re.findall(r"^Version: (\S+)", index, re.MULTILINE))
    suite.run("apt-get", "source", "--download-only", "--tar-only", f"lammps={version}")
    archives = list(folder.glob("lammps_*.orig.tar.*"))
    if len(archives) != 1:
        raise BuildError(
            f"expected one LAMMPS archive in {folder}, found {len(archives)}: remove that folder "
            "and run again."
        )
    say(
        f"have {archives[0].name}, {archives[0].stat().st_size / 1e6:.0f} MB, package version "
        f"{version}"
    )
    return archives[0]
