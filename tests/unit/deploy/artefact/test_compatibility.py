"""Which artefacts run on which machine."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from manifests import manifest

from mhff import MHFFError
from mhff.ops.cpu import levels
from mhff.ops.cpu.levels import best, instructions, needs
from mhff.options import CompileOptions, Form, InstructionSet, Precision
from mhff_deploy.artefact.compatibility import check_manifest

CPU = CompileOptions()
CUDA = CompileOptions(device="cuda")
SECOND = CompileOptions(device="cuda:1")
ON_GPU = {"device": "cuda:0"}
V3 = ("abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe")
PORTABLE = InstructionSet.PORTABLE


@pytest.fixture
def this_cpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine with AVX2 and FMA, as Linux describes it."""
    file = tmp_path / "cpuinfo"
    file.write_text(f"processor\t: 0\nflags\t\t: fpu sse2 {' '.join(V3)} vmx amx_tile\n")
    monkeypatch.setattr(levels, "CPU_INFO", file)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")


@pytest.mark.usefixtures("this_cpu")
def test_the_instruction_sets_of_this_machine() -> None:
    assert instructions() == (*V3, "sse2")
    assert needs("native") == instructions()


@pytest.mark.usefixtures("this_cpu")
def test_native_programs_run_where_no_instruction_set_lacks() -> None:
    check_manifest(manifest(processor="AVX2", instructions=("avx2", "fma")), "a.pt2", CPU)
    with pytest.raises(
        MHFFError,
        match=r"^'a\.pt2' was compiled for a processor with avx512_bf16, avx512f, which this one "
        "lacks; recompile it here, or with --isa portable$",
    ):
        check_manifest(
            manifest(processor="AVX2", instructions=("avx2", "avx512f", "avx512_bf16")),
            "a.pt2",
            CPU,
        )
    with pytest.raises(
        MHFFError, match=r"compiled for a processor with AVX512, but this one has AVX2; recompile"
    ):
        check_manifest(manifest(processor="AVX512"), "a.pt2", CPU)


@pytest.mark.usefixtures("this_cpu")
@pytest.mark.parametrize("isa", [PORTABLE, InstructionSet.X86_64_V3])
def test_portable_programs_run_on_lesser_processors(isa: InstructionSet) -> None:
    made = manifest(options={"isa": isa}, processor="AVX512", instructions=needs(isa.levels[0]))
    check_manifest(made, "a.pt2", CPU)
    assert best(isa.levels) == "x86-64-v3"


@pytest.mark.usefixtures("this_cpu")
def test_the_best_kernels_are_those_of_the_highest_level(monkeypatch: pytest.MonkeyPatch) -> None:
    with levels.CPU_INFO.open("a") as file:
        file.write(f"flags : {' '.join(needs('x86-64-v4'))}\n")
    assert best(PORTABLE.levels) == "x86-64-v3"  # a processor is that of the first line
    levels.CPU_INFO.write_text(f"flags : {' '.join(needs('x86-64-v4'))}\n")
    assert best(PORTABLE.levels) == "x86-64-v3"  # torch sees no AVX-512
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    assert best(PORTABLE.levels) == "x86-64-v4"
    levels.CPU_INFO.unlink()  # a system that does not list them
    assert best(PORTABLE.levels) == "x86-64-v4"


@pytest.mark.usefixtures("this_cpu")
def test_portable_programs_need_avx2(monkeypatch: pytest.MonkeyPatch) -> None:
    made = manifest(options={"isa": PORTABLE})
    levels.CPU_INFO.write_text("flags : fpu sse2 avx abm fma movbe f16c bmi1\n")
    with pytest.raises(
        MHFFError,
        match=r"^'a\.pt2' was compiled for processors with x86-64-v3, but this one lacks avx2, "
        "bmi2; recompile it here with --isa native$",
    ):
        check_manifest(made, "a.pt2", CPU)
    with pytest.raises(MHFFError, match=r"with x86-64-v3, but this one lacks avx2, bmi2; compile"):
        best(PORTABLE.levels)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "DEFAULT")
    with pytest.raises(MHFFError, match="but this one lacks AVX2; recompile"):
        check_manifest(made, "a.pt2", CPU)


def test_machine_code_runs_on_gpus_that_it_was_made_for(monkeypatch: pytest.MonkeyPatch) -> None:
    made = manifest(capabilities=ON_GPU, processor="sm_90")
    with pytest.raises(
        MHFFError,
        match=r"compiled for cuda, but torch finds no GPU here; recompile it with --device cpu$",
    ):
        check_manifest(made, "a.pt2", None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    capabilities = {"cuda": (9, 0), "cuda:0": (9, 0), "cuda:1": (8, 0)}
    monkeypatch.setattr(
        torch.cuda, "get_device_capability", lambda device: capabilities[str(device)]
    )
    check_manifest(made, "a.pt2", CUDA)
    check_manifest(made.model_copy(update={"processor": "sm_80"}), "a.pt2", SECOND)
    with pytest.raises(MHFFError, match="compiled for sm_90, but this GPU is sm_80"):
        check_manifest(made, "a.pt2", SECOND)
    assert made.on(SECOND.device).capabilities.device == "cuda:1"
    other_cpu = made.model_copy(update={"instructions": ("avx1024",)})
    with pytest.raises(MHFFError, match="compiled for a processor with avx1024, which this one"):
        check_manifest(other_cpu, "a.pt2", CUDA)
    script = {"form": Form.TORCHSCRIPT}
    check_manifest(manifest(capabilities=ON_GPU, options=script, processor="sm_80"), "a.pt", CUDA)
    with pytest.raises(
        MHFFError,
        match=r"^'a\.pt2' was compiled for sm_80, but this GPU is sm_90; recompile it here$",
    ):
        check_manifest(manifest(capabilities=ON_GPU, processor="sm_80"), "a.pt2", CUDA)


def test_another_torch_is_refused() -> None:
    with pytest.raises(
        MHFFError,
        match=r"'a\.pt' was compiled with torch 1\.0, but torch \S+ is installed; recompile it$",
    ):
        check_manifest(manifest(torch_version="1.0"), "a.pt", None)


def test_what_is_asked_for_must_be_what_there_is() -> None:
    made = manifest(capabilities=ON_GPU)
    with pytest.raises(
        MHFFError,
        match="compiled for cuda:0, but cpu was requested; recompile it with --device cpu",
    ):
        check_manifest(made, "a.pt", CPU)
    asked = CompileOptions(precision=Precision.FLOAT64)
    with pytest.raises(
        MHFFError,
        match="compiled in float32, but float64 was requested; recompile it with --dtype float64",
    ):
        check_manifest(manifest(), "a.pt", asked)
    double = {"precision": Precision.FLOAT64}
    check_manifest(manifest(capabilities=double), "a.pt", asked)
    check_manifest(manifest(capabilities=double), "a.pt", CompileOptions(precision="float32"))
