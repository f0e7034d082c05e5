"""`mhff bench --against mace-torch` compares programs that agree; no time is asserted."""

from __future__ import annotations

from pathlib import Path

import pytest
from environment import PYTHON

from mhff.errors import MHFFError
from mhff.interop.mace.importer import import_model
from mhff_bench.benchmark import Plan, bench
from mhff_bench.contenders import Choice


def plan(model: Path, peer_model: Path, *engines: str) -> Plan:
    choice = Choice(
        *(str(model), engines, ("eager",), ("float32", "float64")),
        against=("mace-torch",),
        head="Default",
        peer_python=PYTHON,
        peer_model=peer_model,
    )
    return Plan(choice, sizes=(8,), rounds=2, block=0.01)


def test_mace_torch_takes_part(mace_files: dict[str, Path], tmp_path: Path) -> None:
    import_model(mace_files["mp0"]).model.save(tmp_path / "M.mhff")
    report = bench(plan(tmp_path / "M.mhff", mace_files["mp0"], "python", "ase")).as_dict()
    alike = [(found["of"], found["to"]) for found in report["ratios"]]
    assert alike == [
        (f"mace-torch 0.3.16 {engine} {dtype}, eager, tuned malloc", f"{engine} eager {dtype}")
        for engine in ("python", "ase")
        for dtype in ("float32", "float64")
    ]
    about = {contender["label"]: contender["about"] for contender in report["contenders"]}
    assert about["mace-torch 0.3.16 ase float64, eager, tuned malloc"]["mace-torch"] == "0.3.16"
    assert all(found["median"] > 0 for found in report["ratios"])


def test_another_model_is_not_compared(mace_files: dict[str, Path], tmp_path: Path) -> None:
    import_model(mace_files["mp0"]).model.save(tmp_path / "M.mhff")
    with pytest.raises(
        MHFFError,
        match=r"expected the same energy of 8 atoms, got .* of mace-torch 0.3.16 python float32",
    ):
        bench(plan(tmp_path / "M.mhff", mace_files["omat"], "python"))


def test_openmm_ml_takes_part(mace_files: dict[str, Path], tmp_path: Path) -> None:
    """With the first head of a file; the energy is that of our own program in OpenMM."""
    import_model(mace_files["mp0"]).model.save(tmp_path / "M.mhff")
    choice = Choice(
        *(str(tmp_path / "M.mhff"), ("openmm",), ("eager",), ("float64",)),
        against=("openmm-ml",),
        head="Default",
        peer_python=PYTHON,
        peer_model=mace_files["mp0"],
    )
    report = bench(Plan(choice, sizes=(64,), rounds=1, block=0.01, memory=False)).as_dict()
    (found,) = report["ratios"]
    assert found["of"] == "openmm-ml 1.8 openmm float64, mace-torch, eager, tuned malloc"
    assert found["median"] > 0
