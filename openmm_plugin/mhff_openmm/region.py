"""Checks of an ML region: whole molecules, whose MM part openmm-ml knows how to remove."""

from __future__ import annotations

from collections.abc import Iterable

import openmm
from openmm import app

from mhff.errors import MHFFError

POLARISABLE = (openmm.AmoebaMultipoleForce, openmm.AmoebaVdwForce, openmm.HippoNonbondedForce)
"""Forces of polarisable force fields that act on all atoms."""


def check_region(system: openmm.System, topology: app.Topology, particles: Iterable[int]) -> None:
    """Raise MHFFError unless mhff can describe these particles, and the MM System the others."""
    check_bonds(topology, particles)
    _check_virtual_sites(system, topology, particles)
    _check_polarisable(system, particles)


def check_bonds(topology: app.Topology, particles: Iterable[int]) -> None:
    """Raise MHFFError if a bond of the topology leads out of these particles."""
    inside = set(particles)
    for bond in topology.bonds():
        if (bond[0].index in inside) != (bond[1].index in inside):
            ml, mm = sorted(bond, key=lambda atom: atom.index not in inside)
            raise MHFFError(
                f"the ML atom {ml.index} ('{ml.name}') is bonded to atom {mm.index} ('{mm.name}'), "
                "which is not an ML atom, and mhff cuts no bonds; choose whole molecules as ML "
                "atoms"
            )


def _check_virtual_sites(
    system: openmm.System, topology: app.Topology, particles: Iterable[int]
) -> None:
    """Raise MHFFError if one of these particles is a virtual site, or a parent of one."""
    inside = set(particles)
    for index, atom in enumerate(topology.atoms()):
        if not system.isVirtualSite(index):
            continue
        site = system.getVirtualSite(index)
        parents = {site.getParticle(number) for number in range(site.getNumParticles())}
        if index in inside or inside & parents:
            raise MHFFError(
                f"particle {index} ('{atom.name}') is a virtual site of an ML molecule, which a "
                "model cannot describe; give the ML molecules a force field without virtual sites, "
                "for water TIP3P, or leave them to the MM force field"
            )


def _check_polarisable(system: openmm.System, particles: Iterable[int]) -> None:
    """Raise MHFFError if a force stays that openmm-ml cannot remove among these particles."""
    inside = set(particles)
    for force in system.getForces():
        stays = isinstance(force, POLARISABLE)
        if isinstance(force, openmm.DrudeForce):
            drude = (force.getParticleParameters(n)[:5] for n in range(force.getNumParticles()))
            stays = any(inside & set(indices) for indices in drude)
        if stays:
            raise MHFFError(
                f"the ML atoms belong to the MM system's {type(force).__name__}, and openmm-ml "
                "cannot remove their part of it; take a force field with fixed charges"
            )
