"""Whether an artefact runs on this machine, and with the device and precision requested."""

from __future__ import annotations

from pathlib import Path

import torch

from mhff.devices import resolve_device
from mhff.errors import MHFFError, listing
from mhff.ops.cpu.levels import NATIVE, capability, capability_rank, lacking, missing
from mhff.options import CompileOptions, Form, InstructionSet, Precision
from mhff_deploy.artefact.content import Manifest

REMEDY = "recompile it here, or with --isa portable"


def processor(device: str | torch.device) -> str:
    """torch's name for the CPU's capability, or a GPU's architecture such as `sm_90`."""
    if torch.device(device).type == "cuda":
        return "sm_{}{}".format(*torch.cuda.get_device_capability(device))
    return capability()


def check_manifest(manifest: Manifest, name: str | Path, asked: CompileOptions | None) -> None:
    """Raise MHFFError for an artefact that cannot run here, or does not fit the request.

    If `asked` is None, any device and precision will do.
    """
    if manifest.torch_version != torch.__version__:
        raise MHFFError(
            f"'{name}' was compiled with torch {manifest.torch_version}, but torch "
            f"{torch.__version__} is installed; recompile it"
        )
    if asked is not None:
        _check_asked(manifest, name, asked)
    device = manifest.capabilities.device if asked is None else asked.device
    if torch.device(device).type == "cuda":
        _check_gpu(manifest, name, device)
    elif manifest.options.isa is InstructionSet.NATIVE:
        _check_capability(manifest, name)
    # programs for GPUs are started by code for this CPU
    _check_instructions(manifest, name)


def _check_asked(manifest: Manifest, name: str | Path, asked: CompileOptions) -> None:
    made_for = manifest.capabilities
    if torch.device(asked.device).type != torch.device(made_for.device).type:
        raise MHFFError(
            f"'{name}' was compiled for {made_for.device}, but {asked.device} was requested; "
            f"recompile it with --device {asked.device}"
        )
    if asked.precision is Precision.FLOAT64 and made_for.precision is Precision.FLOAT32:
        raise MHFFError(
            f"'{name}' was compiled in float32, but float64 was requested; recompile it with "
            "--dtype float64"
        )


def _check_capability(manifest: Manifest, name: str | Path) -> None:
    here = capability()
    if capability_rank(here) < capability_rank(manifest.processor):
        raise MHFFError(
            f"'{name}' was compiled for a processor with {manifest.processor}, but this one has "
            f"{here}; {REMEDY}"
        )


def _check_instructions(manifest: Manifest, name: str | Path) -> None:
    level = manifest.options.isa.levels[0]
    if level != NATIVE and lacking(level):
        raise MHFFError(
            f"'{name}' was compiled for processors with {level}, but this one lacks "
            f"{listing(lacking(level))}; recompile it here with --isa native"
        )
    if absent := missing(manifest.instructions):
        raise MHFFError(
            f"'{name}' was compiled for a processor with {listing(absent)}, which this one lacks; "
            f"{REMEDY}"
        )


def _check_gpu(manifest: Manifest, name: str | Path, device: str) -> None:
    if not torch.cuda.is_available():
        raise MHFFError(
            f"'{name}' was compiled for cuda, but torch finds no GPU here; recompile it with "
            "--device cpu"
        )
    here = processor(resolve_device(device))
    if manifest.form is Form.AOTI and manifest.processor != here:
        raise MHFFError(
            f"'{name}' was compiled for {manifest.processor}, but this GPU is {here}; recompile it "
            "here"
        )
