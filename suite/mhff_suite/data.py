"""Where reference data lie that other packages ship."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from mhff.errors import MHFFError

REPOSITORY = Path(__file__).parents[2]
"""The folder of mhff's sources, if it was installed from there."""


@dataclass(frozen=True)
class Source:
    """Files that a package ships."""

    name: str
    marker: str
    """The end of the path of one of its files; the others lie beside it."""
    how: str
    """How to get it."""
    places: tuple[Path, ...] = ()
    """Folders where an installed package has them."""
    package: str = ""
    """The Python package that has them, without importing it."""


PSI4 = Source(
    name="Debian's psi4-data",
    marker="S66by8.py",
    how="apt-get install psi4-data; or apt-get download psi4-data, dpkg -x psi4-data*.deb FOLDER, "
    "and --data FOLDER",
    places=(Path("/usr/share/psi4/databases"),),
)
MATCALC = Source(
    name="matcalc's elemental references",
    marker="elemental_refs/MatPES-PBE-Element-Refs.json.gz",
    how="pip download --no-deps --no-binary matcalc matcalc==0.6.0, unpack it, and --data FOLDER",
    package="matcalc",
)
PHONOPY = Source(
    name="the force sets of phonopy's source distribution",
    marker="example/MgO/FORCE_SETS",
    how="pip download --no-deps --no-binary phonopy phonopy, unpack it, and --data FOLDER",
)
MHFF = Source(
    name="the DFT data of mhff's repository",
    marker="data/materials.extxyz",
    how="run from a checkout of mhff, or give --data FOLDER with its folder data",
    places=(REPOSITORY / "data",),
)


@dataclass(frozen=True)
class DataFolders:
    """The folders that a user gave, which come before installed packages."""

    folders: tuple[Path, ...] = ()

    def check(self) -> None:
        """Raise MHFFError for a folder that does not exist."""
        for folder in self.folders:
            if not folder.is_dir():
                raise MHFFError(f"--data: no folder '{folder}'; give one that exists")

    def find(self, source: Source) -> Path | None:
        """The folder with the files of a source, or None."""
        name = Path(source.marker).name
        for folder in self._candidates(source):
            if (folder / name).is_file():
                return folder
        return None

    def _candidates(self, source: Source) -> Iterator[Path]:
        for folder in self.folders:
            for found in sorted(folder.rglob(Path(source.marker).name)):
                if str(found).endswith(source.marker):
                    yield found.parent
        yield from source.places
        spec = find_spec(source.package) if source.package else None
        for place in (spec.submodule_search_locations or []) if spec else []:
            yield Path(place) / Path(source.marker).parent
