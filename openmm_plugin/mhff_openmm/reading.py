"""Reading a System that was saved with a force of mhff in it."""

from __future__ import annotations

import os
from pathlib import Path

import openmm

from mhff.errors import MHFFError
from mhff.files import read_file


def read_system(path: str | os.PathLike[str]) -> openmm.System:
    """The System in a file of `openmm.XmlSerializer`, whichever backend its forces have.

    Backend `torch` needs this function, in a process that has not made such a force itself: it
    imports the plug-in and loads the kernels before OpenMM reads the file. A System is code: read
    only those you trust. Raises MHFFError for a file that cannot be read or does not fit this
    machine.
    """
    xml = read_file(path).decode(errors="replace")
    if 'type="TorchForce"' in xml:
        _prepare(xml, Path(path))
    if "<System" not in xml:
        raise MHFFError(
            f"expected the XML of a System in '{path}', and there is none; write it with "
            "openmm.XmlSerializer.serialize(system)"
        )
    return openmm.XmlSerializer.deserialize(xml)


def _prepare(xml: str, path: Path) -> None:
    from mhff_openmm.plugin import import_plugin, why_not_installed
    from mhff_openmm.script.kernels import load_libraries

    reason = why_not_installed()
    if reason:
        raise MHFFError(f"'{path}' holds a TorchForce, which cannot be read {reason}")
    import_plugin()
    load_libraries(xml, path)
