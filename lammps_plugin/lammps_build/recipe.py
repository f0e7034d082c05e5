"""What LAMMPS is built with: its packages and settings, with and without KOKKOS.

A build with KOKKOS that is run without `-k on` is a plain one, so it serves for both.
"""

from __future__ import annotations

import hashlib
import platform
from dataclasses import dataclass
from pathlib import Path

from .environment import BuildError, Environment

PACKAGES = (
    "ML-IAP",
    "ML-SNAP",
    "PYTHON",
    "MANYBODY",
    "MOLECULE",
    "KSPACE",
    "RIGID",
    "EXTRA-FIX",
    "EXTRA-PAIR",  # only dispersion/d3, see KEPT_STYLES
    "MISC",  # fix ipi
    "MDI",
)
LINK_PROGRAM = "-Wl,--disable-new-dtags"
OPTIONS = {
    "CMAKE_BUILD_TYPE": "Release",
    "BUILD_SHARED_LIBS": "ON",
    "BUILD_MPI": "ON",
    "BUILD_OMP": "OFF",  # torch brings its own OpenMP; one per process is enough
    "MLIAP_ENABLE_PYTHON": "ON",
    **{f"PKG_{package}": "ON" for package in PACKAGES},
    # Avoid instructions that only some machines have.
    "FFT": "KISS",
    **{f"WITH_{library}": "OFF" for library in ("JPEG", "PNG", "CURL")},
    # Libraries are found where an environment links them (see linking.py): beside the file, and in
    # the environment's lib. The program has the old kind of path because lammps.mliap asks for
    # libpython by a name that only this kind finds.
    "CMAKE_INSTALL_RPATH": "$ORIGIN;$ORIGIN/../../..",
    "CMAKE_BUILD_WITH_INSTALL_RPATH": "ON",
    "CMAKE_EXE_LINKER_FLAGS": LINK_PROGRAM,
}
KOKKOS_OPTIONS = {
    "PKG_KOKKOS": "ON",
    "EXTERNAL_KOKKOS": "ON",
    "CMAKE_CXX_STANDARD": "20",
    "CMAKE_CXX_FLAGS": "-Wno-deprecated-declarations",
    # Kokkos may call functions that are linked into liblammps (see debian_kokkos.py).
    "CMAKE_EXE_LINKER_FLAGS": f"{LINK_PROGRAM} -Wl,--allow-shlib-undefined",
}

STYLES = ("pair", "fix", "compute", "atom_vec", "bond", "angle", "dihedral", "improper", "pppm")
"""Kinds of files that may be left out."""
KEPT_STYLES = {
    "EXTRA-PAIR": ("pair_dispersion_d3",),
    "KOKKOS": (
        *("pair_kokkos", "pair_mliap_kokkos", "pair_lj_cut_kokkos"),
        *("pair_hybrid_kokkos", "pair_hybrid_overlay_kokkos", "pair_hybrid_scaled_kokkos"),
        *("fix_nh_kokkos", "fix_nve_kokkos", "fix_nvt_kokkos", "fix_npt_kokkos", "fix_nph_kokkos"),
        *("fix_nh_sphere_kokkos", "fix_langevin_kokkos", "fix_temp_berendsen_kokkos"),
        *("fix_temp_rescale_kokkos", "fix_viscous_kokkos", "fix_momentum_kokkos"),
        *("fix_recenter_kokkos", "fix_setforce_kokkos", "fix_wall_reflect_kokkos"),
        *("fix_external_kokkos", "fix_shake_kokkos", "fix_deform_kokkos", "fix_minimize_kokkos"),
        *("fix_property_atom_kokkos", "fix_neigh_history_kokkos"),
        *("compute_temp_kokkos", "compute_temp_deform_kokkos", "compute_temp_com_kokkos"),
        *("atom_vec_kokkos", "atom_vec_atomic_kokkos", "atom_vec_charge_kokkos"),
        *("atom_vec_bond_kokkos", "atom_vec_full_kokkos", "atom_vec_hybrid_kokkos"),
        "atom_vec_ellipsoid_kokkos",  # fix_langevin_kokkos includes it
    ),
}
"""Packages of which only these styles are built, because the others would take minutes.

Styles that KOKKOS lacks run in their plain versions.
"""

HOST_EXCHANGE = " || pair->execution_space == HostKK"
HOST_EXCHANGE_PLACES = 2


@dataclass(frozen=True)
class Recipe:
    """One kind of build."""

    kokkos: bool

    @property
    def title(self) -> str:
        """For messages."""
        return "LAMMPS with KOKKOS" if self.kokkos else "LAMMPS"

    @property
    def duration(self) -> str:
        """For messages."""
        return "8 to 12 minutes" if self.kokkos else "6 to 10 minutes"

    @property
    def options(self) -> dict[str, str]:
        """Settings of LAMMPS' cmake that hold on every machine."""
        return OPTIONS | KOKKOS_OPTIONS if self.kokkos else OPTIONS

    def cache_tag(self, environment: Environment) -> str:
        """Part of a build's folder name: a hash of all that it depends on, besides its version."""
        facts = [
            *sorted(self.options.items()),
            KEPT_STYLES,
            HOST_EXCHANGE,
            environment.abi,
            platform.machine(),
            platform.libc_ver(),
        ]
        digest = hashlib.sha256(repr(facts).encode()).hexdigest()[:8]
        return f"{'kokkos-' if self.kokkos else ''}py{environment.version}-{digest}"


PLAIN = Recipe(kokkos=False)
KOKKOS = Recipe(kokkos=True)


def leave_out_styles(root: Path) -> None:
    """Remove the sources of styles that no build of mhff needs."""
    for package, kept in KEPT_STYLES.items():
        for path in (root / "src" / package).iterdir():
            is_style = path.name.startswith(tuple(f"{kind}_" for kind in STYLES))
            if is_style and path.stem not in kept:
                path.unlink()


def mend_exchange(root: Path) -> None:
    """Let the exchange of ghost features take the path of GPU builds on CPUs, too.

    The other path sends through a buffer that is not sized for the model's columns: it overruns.

    Raises BuildError if the source is not the one that this was written for.
    """
    file = root / "src" / "KOKKOS" / "comm_kokkos.cpp"
    text = file.read_text()
    places = text.count(HOST_EXCHANGE)
    if places != HOST_EXCHANGE_PLACES:
        raise BuildError(
            f"expected {HOST_EXCHANGE_PLACES} places to mend in {file.name} of LAMMPS, found "
            f"{places}: mhff does not know this version's KOKKOS; `make lammps` does without."
        )
    file.write_text(text.replace(HOST_EXCHANGE, ""))
