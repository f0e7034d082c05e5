"""The library of a program's kernels, which metatomic loads as an extension of TorchScript."""

from __future__ import annotations

from collections.abc import Mapping

from mhff_deploy.artefact.content import read_manifest

FILE = "the new program"
"""Stands for the name of a file that is not written yet."""


def library_name(namespace: str) -> str:
    """File name of a library; metatomic sees by the namespace in it whether it is loaded."""
    return f"{namespace}.so"


def libraries(artefact: bytes) -> Mapping[str, bytes]:
    """The library of an artefact by its file name."""
    from mhff_deploy.artefact.programs import parts_of

    manifest = read_manifest(artefact, FILE)
    kernels = parts_of(artefact, manifest).kernels
    return {library_name(manifest.kernels): library for library in kernels.values()}
