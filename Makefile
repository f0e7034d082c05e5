# make demo    the main job on the bundled model: OpenMM and ASE with each head (no LAMMPS needed)
# make test    everything, in real LAMMPS and OpenMM
# make lammps  LAMMPS for .venv, as .venv/bin/lmp (built once, kept outside this folder)
# make lammps-kokkos    the same with KOKKOS for CPUs, as .venv/bin/lmp-kokkos and .venv/bin/lmp; `make test` uses it
# make peer    the environment with mace-torch that the parity tests compare with, as .venv-peer
# make openmmtorch    the environment with openmm-torch for the tests of OpenMM's backend `torch`, as .venv-openmmtorch
# make lint    formatting, style, layers, types
# make check   lint, and every test that is neither slow nor needs an engine or a peer (3 minutes)

PYTHON ?= python3.11
BIN := .venv/bin

.PHONY: demo test check lammps lammps-kokkos lammps-for-tests peer openmmtorch lint

.venv/installed: pyproject.toml constraints.txt
	@echo "mhff: making the environment .venv (one to three minutes)"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $@

demo: .venv/installed
	$(BIN)/mhff demo

lammps: .venv/installed
	$(BIN)/python lammps_plugin/build_lammps.py --prefix .venv

lammps-kokkos: .venv/installed
	$(BIN)/python lammps_plugin/build_lammps.py --prefix .venv --kokkos

# One build serves the tests of both couplings; without KOKKOS, the plain one, and those that need KOKKOS are left out.
lammps-for-tests: .venv/installed
	$(BIN)/python lammps_plugin/build_lammps.py --prefix .venv --kokkos-if-possible

peer:
	@$(PYTHON) tests/parity/environment.py

# Kept outside this folder. Where it cannot be had, a line says so, and the tests that need it are left out.
openmmtorch:
	@$(PYTHON) tests/openmmtorch/environment.py

# Tests use one thread each; those of engines start several ranks, so they run alone.
test: lammps-for-tests peer openmmtorch
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile tests/unit tests/physics
	$(BIN)/python -m pytest tests/parity tests/integration

check: lint
	$(BIN)/python -m pytest --numprocesses 2 -m "not slow" tests/unit tests/physics

lint: .venv/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy
