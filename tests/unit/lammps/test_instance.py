"""The LAMMPS instance is looked for only behind data whose layout is known."""

from __future__ import annotations

import pytest

from mhff.errors import MHFFError
from mhff_lammps.instance import Instances


@pytest.mark.parametrize("name", ["Other", "MLIAPDataPy"])
def test_unknown_data_is_refused_without_following_a_pointer(name: str) -> None:
    data = type(name, (), {})()
    with pytest.raises(MHFFError, match="expected LAMMPS version 20260704, got data"):
        Instances().find(data)
