"""Second derivatives by the ASE calculator: shapes, units, heads, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.vibrations import VibrationsData
from models import HEADS, random_model
from structures import slab, water_cluster
from tolerances import ROUNDING, SINGLE_PRECISION, assert_close_to_scale

from mhff import MHFFCalculator, MHFFError
from mhff.evaluator import Evaluator
from mhff.modelfile import Model


@pytest.fixture(scope="module")
def model() -> Model:
    return random_model("mh1", n_channels=4, correlation=2)


def calculator(model: Model, head="materials", **options) -> MHFFCalculator:
    return MHFFCalculator(model, head=head, form="eager", **options)


def test_a_part_is_that_of_the_whole(model: Model) -> None:
    atoms = slab()
    calc = calculator(model)
    whole = calc.get_hessian(atoms)
    assert whole.shape == (3 * len(atoms),) * 2
    chosen = np.array([4, 1])
    at = (3 * chosen[:, None] + np.arange(3)).flatten()
    assert_close_to_scale(calc.get_hessian(atoms, indices=chosen), whole[np.ix_(at, at)], ROUNDING)


def test_force_constants_have_the_layout_of_phonopy(model: Model) -> None:
    atoms = slab()
    calc = calculator(model)
    constants = calc.get_force_constants(atoms, indices=[2, 3])
    assert constants.shape == (2, len(atoms), 3, 3)
    whole = calc.get_hessian(atoms)
    assert_close_to_scale(constants[1, 5], whole[9:12, 15:18], ROUNDING)


def test_products(model: Model) -> None:
    atoms = slab()
    calc = calculator(model)
    vectors = np.random.default_rng(0).normal(size=(3, len(atoms), 3))
    expected = (calc.get_hessian(atoms) @ vectors.reshape(3, -1).T).T.reshape(vectors.shape)
    assert_close_to_scale(calc.get_hessian_vector_product(atoms, vectors), expected, ROUNDING)
    one = calc.get_hessian_vector_product(atoms, vectors[0])
    assert_close_to_scale(one, expected[0], ROUNDING)
    with pytest.raises(MHFFError, match="three components per atom"):
        calc.get_hessian_vector_product(atoms, vectors[:, 1:])


def test_heads_add_up(model: Model) -> None:
    atoms = water_cluster()
    each = [calculator(model, head).get_hessian(atoms) for head in HEADS]
    mix = dict(zip(HEADS, (0.2, 0.5, 0.3), strict=True))
    expected = sum(weight * hessian for weight, hessian in zip(mix.values(), each, strict=True))
    assert_close_to_scale(calculator(model, mix).get_hessian(atoms), expected, ROUNDING)
    atoms.info["mhff_head"] = HEADS[2]
    assert_close_to_scale(calculator(model).get_hessian(atoms), each[2], ROUNDING)


def test_the_structure_of_the_latest_calculation(model: Model) -> None:
    atoms = water_cluster()
    atoms.calc = calculator(model)
    with pytest.raises(MHFFError, match="give the atoms"):
        atoms.calc.get_hessian()
    forces = atoms.get_forces()
    assert np.array_equal(atoms.calc.get_hessian(), atoms.calc.get_hessian(atoms))
    assert np.array_equal(atoms.get_forces(), forces)


def test_single_precision_has_hessians_in_double_precision(model: Model) -> None:
    atoms = water_cluster()
    hessian = calculator(model, dtype="float32").get_hessian(atoms)
    assert hessian.dtype == np.float64
    assert np.array_equal(hessian, hessian.T)
    assert_close_to_scale(hessian, calculator(model).get_hessian(atoms), SINGLE_PRECISION)


def test_vibrations_of_ase(model: Model) -> None:
    atoms = water_cluster()
    atoms.calc = calculator(model)
    hessian = atoms.calc.get_hessian(atoms, indices=[0, 1, 2])
    data = VibrationsData.from_2d(atoms, hessian, indices=[0, 1, 2])
    assert data.get_frequencies().shape == (9,)


def test_a_compiled_file_has_none(model: Model) -> None:
    class Compiled(Evaluator):
        capabilities = calculator(model).capabilities

        def evaluate(self, graph, head_weights):
            raise NotImplementedError

    calc = MHFFCalculator(Compiled(), head="materials")
    with pytest.raises(MHFFError, match="no second derivatives"):
        calc.get_hessian(Atoms("O2", positions=[[0, 0, 0], [0, 0, 1.3]]))
