"""The library of a program's kernels, which metatomic loads as an extension of TorchScript."""

from __future__ import annotations

from collections.abc import Mapping

from mhff_deploy.artefact.content import NEW_PROGRAM, library_name, read_manifest


def libraries(artefact: bytes) -> Mapping[str, bytes]:
    """The library of an artefact by its file name."""
    from mhff_deploy.artefact.programs import parts_of

    manifest = read_manifest(artefact, NEW_PROGRAM)
    kernels = parts_of(artefact, manifest).kernels
    return {library_name(manifest.kernels): library for library in kernels.values()}
