"""Give a virtual environment a LAMMPS that runs `pair_style mliap unified` with its Python.

    .venv/bin/python lammps_plugin/build_lammps.py --prefix .venv

provides `.venv/bin/lmp`, which needs no activation, and `import lammps` in the environment's
Python. A suitable `lmp` on PATH is linked; else one is built from Debian's source package, once,
into a cache that other environments can link to.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lammps_build.compiling import build_lammps, find_cached
from lammps_build.debian_source import EXPECTED
from lammps_build.environment import BuildError, Environment, inspect_environment, say
from lammps_build.linking import (
    Lammps,
    cached_lammps,
    describe_program,
    is_linked,
    link,
    programs_on_path,
)
from lammps_build.probe import probe


def lammps_on_path(environment: Environment) -> Lammps | None:
    """The first `lmp` on PATH that can serve this environment; says why others cannot."""
    for program in programs_on_path(environment):
        with tempfile.TemporaryDirectory() as name:
            try:
                lammps = describe_program(program)
                launcher = Path(name) / "lmp"
                link(lammps, environment, Path(name), launcher)
                reason = probe(environment, launcher, Path(name), ranks=2)
            except (BuildError, OSError, subprocess.TimeoutExpired) as error:
                reason = str(error)
        if reason is None:
            return lammps
        say(f"{program} on PATH cannot be used: {reason}")
    return None


def find_lammps(environment: Environment, cache: Path, source: Path | None) -> Lammps:
    """A LAMMPS from PATH, from the cache, or built now, in this order."""
    if lammps := lammps_on_path(environment):
        say(f"using {lammps.program} from PATH (version {lammps.version})")
        return lammps
    if folder := find_cached(cache, environment):
        say(f"using the build in {folder}")
        return cached_lammps(folder)
    say(f"none on PATH, none in {cache}: building LAMMPS {EXPECTED} there")
    say(
        "this downloads 214 MB, needs 3 GB of disk meanwhile and takes 6 to 10 minutes on 2 free "
        "cores; later, only seconds"
    )
    start = time.monotonic()
    folder = build_lammps(environment, cache, source)
    say(f"built {folder} in {(time.monotonic() - start) / 60:.1f} min")
    return cached_lammps(folder)


def provide(prefix: Path, cache: Path, source: Path | None) -> None:
    """Give the environment at `prefix` its LAMMPS, and check that it works."""
    environment = inspect_environment(prefix)
    lammps = find_lammps(environment, cache, source)
    launcher = environment.bin / "lmp"
    if not is_linked(lammps, environment):
        link(lammps, environment, environment.site, launcher)
    if reason := probe(environment, launcher, environment.site, ranks=1):
        cure = (
            f"remove {lammps.library.parent}"
            if lammps.relocatable
            else f"take {lammps.program} off PATH"
        )
        raise BuildError(
            f"{lammps.library} does not work here: {reason}; mend that, or {cure}, and run again."
        )
    say(
        f"ready: {launcher} (version {lammps.version}), and `import lammps` in {environment.python}"
    )


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--prefix",
        type=Path,
        default=Path(sys.prefix),
        help="the environment (default: this Python's)",
    )
    parser.add_argument(
        "--cache", type=Path, default=Path.home() / ".cache" / "mhff", help="default: %(default)s"
    )
    parser.add_argument(
        "--source", type=Path, help="a LAMMPS source archive to build instead of Debian's"
    )
    arguments = parser.parse_args()
    try:
        provide(arguments.prefix, arguments.cache.absolute(), arguments.source)
    except BuildError as problem:
        print(f"build_lammps: {problem}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
