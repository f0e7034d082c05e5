"""Whether an artefact runs on this machine, and with the device and precision requested."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from mhff.errors import MHFFError, listing
from mhff.options import CompileOptions, Form, InstructionSet, Precision
from mhff_deploy.artefact.content import Manifest

CPU_INFO = Path("/proc/cpuinfo")
CAPABILITIES = ("DEFAULT", "NO AVX", "AVX2", "AVX512")
"""torch's names for the capability of a processor, ascending."""
USED_BY_COMPILERS = re.compile(
    r"^(sse|ssse|avx|fma|f16c|bmi|abm|popcnt|movbe|adx|amx|gfni|sha|v?aes|v?pclmul|xop|asimd|sve)"
)
"""Instruction sets that a C++ compiler uses by itself when it compiles for this machine."""
REMEDY = "recompile it here, or with --isa x86-64-v3"
X86_64_V3 = frozenset({"avx2", "bmi1", "bmi2", "f16c", "fma", "movbe"})
"""Instruction sets of `InstructionSet.X86_64_V3`."""


def processor(device: str | torch.device) -> str:
    """torch's name for the CPU's capability, or a GPU's architecture such as `sm_90`."""
    if torch.device(device).type == "cuda":
        return "sm_{}{}".format(*torch.cuda.get_device_capability(device))
    return torch.backends.cpu.get_cpu_capability()


def instructions() -> tuple[str, ...]:
    """Instruction sets of this machine's CPU, sorted; empty if the system does not list them."""
    if not CPU_INFO.exists():
        return ()
    for line in CPU_INFO.read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return tuple(sorted(filter(USED_BY_COMPILERS.match, value.split())))
    return ()


def capability_rank(capability: str) -> int:
    """Position in `CAPABILITIES`; a name that this version does not know is above all others."""
    if capability not in CAPABILITIES:
        return len(CAPABILITIES)
    return CAPABILITIES.index(capability)


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
    if torch.device(manifest.capabilities.device).type == "cuda":
        _check_gpu(manifest, name)
    elif manifest.options.isa is InstructionSet.NATIVE:
        _check_capability(manifest, name)
    # programs for GPUs are started by code for this CPU
    if manifest.options.isa is InstructionSet.NATIVE:
        _check_instructions(manifest, name)
    else:
        _check_portable(name)


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
    capability = processor("cpu")
    if capability_rank(capability) < capability_rank(manifest.processor):
        raise MHFFError(
            f"'{name}' was compiled for a processor with {manifest.processor}, but this one has "
            f"{capability}; {REMEDY}"
        )


def _check_instructions(manifest: Manifest, name: str | Path) -> None:
    missing = sorted(set(manifest.instructions) - set(instructions()))
    if missing:
        raise MHFFError(
            f"'{name}' was compiled for a processor with {listing(missing)}, which this one lacks; "
            f"{REMEDY}"
        )


def _check_portable(name: str | Path) -> None:
    here = set(instructions())
    missing = sorted(X86_64_V3 - here)
    if here and missing:
        raise MHFFError(
            f"'{name}' was compiled for processors with AVX2, but this one lacks "
            f"{listing(missing)}; recompile it here with --isa native"
        )


def _check_gpu(manifest: Manifest, name: str | Path) -> None:
    if not torch.cuda.is_available():
        raise MHFFError(
            f"'{name}' was compiled for cuda, but torch finds no GPU here; recompile it with "
            "--device cpu"
        )
    here = processor(manifest.capabilities.device)
    if manifest.form is Form.AOTI and manifest.processor != here:
        raise MHFFError(
            f"'{name}' was compiled for {manifest.processor}, but this GPU is {here}; recompile it "
            "here"
        )
