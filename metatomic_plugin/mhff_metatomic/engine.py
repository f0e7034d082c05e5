"""metatomic as an engine of mhff: its compile target."""

from __future__ import annotations

from mhff.doctor.requirements import installed_version
from mhff.engines import Engine, Target
from mhff.errors import MHFFError
from mhff.options import CompileOptions, Form, InstructionSet
from mhff_deploy.artefact.content import NEW_PROGRAM, read_manifest
from mhff_metatomic.extension import libraries


def check_options(options: CompileOptions) -> None:
    """Raise MHFFError for what engines of metatomic cannot run, and if metatomic is missing."""
    if installed_version("metatomic-torch") is None:
        raise MHFFError(
            "the target 'metatomic' needs metatomic-torch, which is not installed; get it with pip "
            "install 'mhff[metatomic]'"
        )
    if options.device != "cpu":
        raise MHFFError(
            f"expected the device cpu for metatomic, got {options.device}: TorchScript cannot hold "
            "kernels for GPUs; compile for cpu, or use mhff's own adapters for LAMMPS and OpenMM "
            "on a GPU"
        )
    if options.isa is InstructionSet.PORTABLE:
        raise MHFFError(
            "expected --isa native or x86-64-v3 for metatomic, got portable: its engines cannot "
            "choose between libraries of kernels; x86-64-v3 runs on any processor with AVX2"
        )


def wrap(artefact: bytes) -> bytes:
    """The content of metatomic's file that runs an artefact."""
    from mhff_metatomic.build import build_model, to_bytes

    return to_bytes(build_model(artefact, NEW_PROGRAM), read_manifest(artefact, NEW_PROGRAM))


METATOMIC = Engine(
    "metatomic",
    Target((Form.TORCHSCRIPT,), wrap, beside=libraries, check_options=check_options),
)
