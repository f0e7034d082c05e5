"""Give a virtual environment a LAMMPS that runs `pair_style mliap unified` with its Python.

    .venv/bin/python lammps_plugin/build_lammps.py --prefix .venv [--kokkos]

provides `.venv/bin/lmp`, which needs no activation, and `import lammps` in the environment's
Python; with --kokkos, `.venv/bin/lmp-kokkos`, too. A suitable `lmp` on PATH is linked; else one is
built from Debian's packages, once, into a cache that other environments can link to. A LAMMPS with
KOKKOS that is run without `-k on` is a plain one, so it gets both names.
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
from lammps_build.environment import (
    BuildError,
    Environment,
    inspect_environment,
    reason_file,
    say,
)
from lammps_build.linking import (
    Lammps,
    cached_lammps,
    describe_program,
    is_linked,
    link,
    programs_on_path,
)
from lammps_build.probe import Installation, probe
from lammps_build.recipe import KOKKOS, PLAIN, Recipe


def lammps_on_path(environment: Environment, recipe: Recipe) -> Lammps | None:
    """The first `lmp` on PATH that can serve this environment; says why others cannot."""
    for program in programs_on_path(environment):
        with tempfile.TemporaryDirectory() as name:
            try:
                lammps = describe_program(program, recipe.kokkos)
                launcher = Path(name) / "lmp"
                link(lammps, environment, Path(name), launcher)
                trial = Installation(environment, launcher, Path(name), recipe.kokkos)
                reason = probe(trial, ranks=2)
            except (BuildError, OSError, subprocess.TimeoutExpired) as error:
                reason = str(error)
        if reason is None:
            return lammps
        say(f"{program} on PATH cannot be used: {reason}")
    return None


def find_lammps(
    environment: Environment, cache: Path, source: Path | None, recipe: Recipe
) -> Lammps:
    """A LAMMPS from PATH, from the cache, or built now, in this order."""
    if lammps := lammps_on_path(environment, recipe):
        say(f"using {lammps.program} from PATH (version {lammps.version})")
        return lammps
    for sufficient in (KOKKOS, recipe):
        if folder := find_cached(cache, environment, sufficient):
            say(f"using the build in {folder}")
            return cached_lammps(folder)
    say(f"none on PATH, none in {cache}: building {recipe.title} {EXPECTED} there")
    say(
        f"this downloads 214 MB, needs 3 GB of disk meanwhile and takes {recipe.duration} on 2 "
        "free cores; later, only seconds"
    )
    start = time.monotonic()
    folder = build_lammps(environment, cache, source, recipe)
    say(f"built {folder} in {(time.monotonic() - start) / 60:.1f} min")
    return cached_lammps(folder)


def provide(prefix: Path, cache: Path, source: Path | None, recipe: Recipe) -> None:
    """Give the environment at `prefix` its LAMMPS, and check that it works."""
    environment = inspect_environment(prefix)
    lammps = find_lammps(environment, cache, source, recipe)
    launcher = environment.bin / "lmp"
    if not is_linked(lammps, environment):
        link(lammps, environment, environment.site, launcher)
    installation = Installation(environment, launcher, environment.site, lammps.kokkos)
    if reason := probe(installation, ranks=1):
        cure = (
            f"remove {lammps.library.parent}"
            if lammps.relocatable
            else f"take {lammps.program} off PATH"
        )
        raise BuildError(
            f"{lammps.library} does not work here: {reason}; mend that, or {cure}, and run again."
        )
    names = f"{launcher} and {launcher}-kokkos" if lammps.kokkos else str(launcher)
    say(f"ready: {names} (version {lammps.version}), and `import lammps` in {environment.python}")


def provide_with_kokkos_if_possible(prefix: Path, cache: Path, source: Path | None) -> None:
    """Give the environment a LAMMPS with KOKKOS, or else a plain one and a file that says why."""
    file = reason_file(prefix)
    file.unlink(missing_ok=True)
    try:
        provide(prefix, cache, source, KOKKOS)
    except BuildError as problem:
        say(f"WARNING: no LAMMPS with KOKKOS: {problem}")
        provide(prefix, cache, source, PLAIN)
        file.write_text(f"{problem}\n")
        say(f"WARNING: tests that need KOKKOS will be left out; {file} says why")


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
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--kokkos", action="store_true", help="LAMMPS with KOKKOS for CPUs")
    kinds.add_argument(
        "--kokkos-if-possible",
        action="store_true",
        help="the same, or else a plain LAMMPS; for the tests",
    )
    arguments = parser.parse_args()
    places = (arguments.prefix, arguments.cache.absolute(), arguments.source)
    try:
        if arguments.kokkos_if_possible:
            provide_with_kokkos_if_possible(*places)
        else:
            provide(*places, KOKKOS if arguments.kokkos else PLAIN)
    except BuildError as problem:
        print(f"build_lammps: {problem}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
