"""What must hold in a LAMMPS run for mhff's numbers to be right; anything else is refused."""

from __future__ import annotations

from typing import Any

from mhff.errors import MHFFError


def check_coupling(data: Any) -> None:
    """Refuse the data of LAMMPS' KOKKOS coupling, whose arrays are other ones."""
    if "kokkos" in type(data).__module__:
        raise MHFFError(
            "mhff does not run with LAMMPS' KOKKOS package yet; leave out '-sf kk' and 'suffix kk'"
        )


def check_settings(lammps: Any, data: Any) -> None:
    """Refuse settings that would give wrong numbers: another instance, ranks, units, neighbours of
    ghosts, special bonds.
    """
    setting, value = lammps.extract_setting, lammps.extract_global
    if (setting("nlocal"), setting("nall")) != (data.nlocal, data.ntotal):
        raise MHFFError(
            f"LAMMPS evaluates {data.nlocal} atoms, but the instance that mhff knows has "
            f"{setting('nlocal')}; "
            "call mhff_lammps.load_model with the instance that runs"
        )
    if setting("world_size") > 1:
        raise MHFFError(
            f"mhff runs LAMMPS on one MPI rank, this run has {setting('world_size')}; start it "
            "with one, as mpiexec -n 1 lmp"
        )
    if value("units") != "metal":
        raise MHFFError(
            f"expected 'units metal' (eV, A, bar), got 'units {value('units')}'; change the input "
            "and its numbers"
        )
    if data.natomneigh != data.nlistatoms:
        raise MHFFError(
            "expected 'pair_style mliap unified FILE 0', got 1 in place of 0: mhff needs no "
            "neighbours of ghosts"
        )
    pairs_left_out = any(
        lj == 0 == coul
        for lj, coul in zip(value("special_lj")[1:], value("special_coul")[1:], strict=True)
    )
    if value("nbonds") and pairs_left_out:
        raise MHFFError(
            "special_bonds leaves pairs of bonded atoms out, which a model needs like all others; "
            "add 'special_bonds lj/coul 1 1 1' to the input"
        )
