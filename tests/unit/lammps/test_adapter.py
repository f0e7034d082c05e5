"""Parts of the LAMMPS adapter on their own: the file, labels, translation, how errors are told. No
LAMMPS is needed.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import subprocess
import sys
import zipfile
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from mhff.errors import MHFFError
from mhff.heads import Head, Heads
from mhff_deploy.artefact.content import Manifest, pack
from mhff_lammps import reporting
from mhff_lammps.adapter import Adapter, owners, read_step, write_step
from mhff_lammps.checks import check_settings
from mhff_lammps.driver import read_model
from mhff_lammps.engine import TARGET
from mhff_lammps.instance import Instances
from mhff_lammps.labels import Labels
from mhff_lammps.model import MHFFModel

ELEMENTS = ("H", "O")
HEADS = Heads([Head(name="bulk"), Head(name="gas", elements=("H",))])
EXACT = 1e-14


def artefact(default_head: str | None = "gas") -> bytes:
    """An artefact with a manifest and nothing in it that runs."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("program/code", b"nothing")
    manifest = Manifest(
        target="lammps",
        form="torchscript",
        heads=tuple(HEADS),
        default_head=default_head,
        elements=ELEMENTS,
        r_max=4.5,
        dtype="float64",
        device="cpu",
        units={},
        model_sha256="",
        torch_version=torch.__version__,
        mhff_version="",
        largest_errors={},
    )
    return pack(stream.getvalue(), manifest, {})


class TestFile:
    def test_holds_one_class_and_what_lammps_asks_for(self, capsys):
        content = TARGET.wrap(artefact())
        model = pickle.loads(content)
        strings = [
            argument for _, argument, _ in pickletools.genops(content) if isinstance(argument, str)
        ]
        assert strings[:2] == ["mhff_lammps.model", "MHFFModel"]
        assert model.element_types == ["H", "O", "H@bulk", "O@bulk", "H@gas", "O@gas"]
        assert (model.ndescriptors, model.nparams, 2 * model.rcutfac) == (1, 1, 4.5)
        assert "heads bulk gas (default gas)" in capsys.readouterr().out

    def test_survives_being_pickled_while_lammps_holds_it(self):
        model = MHFFModel(artefact())
        model.interface = model.lammps = SimpleNamespace(cannot_be_pickled=lambda: None)
        copy = pickle.loads(pickle.dumps(model))
        assert copy.interface is None
        assert copy.lammps is None

    def test_is_written_without_lammps(self):
        code = (
            "import sys; sys.modules['lammps'] = None; from mhff_lammps.engine import TARGET; "
            "print(TARGET.name)"
        )
        assert subprocess.check_output([sys.executable, "-c", code], text=True) == "lammps\n"

    @pytest.mark.parametrize("name", ["mini.pt", "mini.pth", ".pt", "a/b.pt"])
    def test_names_that_lammps_gives_to_torch_are_refused(self, name):
        with pytest.raises(
            MHFFError, match=r"does not end in .pt or .pth.*give another ending, as -o .*\.mliap"
        ):
            TARGET.check_output(name)

    @pytest.mark.parametrize("name", ["mini", "mini.mliap", "mini.pt2", "pt"])
    def test_any_other_name_is_fine(self, name):
        TARGET.check_output(name)

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            ({"format_version": 2}, "has format version 2, this mhff reads version 1"),
            ({"artefact": b"other"}, "is damaged"),
            (
                {
                    "artefact": b"other",
                    "sha256": "d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa",
                },
                "not an artefact",
            ),
        ],
    )
    def test_damaged_and_newer_files_are_refused(self, change, sentence):
        state = MHFFModel(artefact()).__getstate__() | change
        with pytest.raises(MHFFError, match=sentence):
            MHFFModel.__new__(MHFFModel).__setstate__(state)

    def test_drivers_read_nothing_else(self, tmp_path):
        file = tmp_path / "file"
        for content in (
            b"",
            b"text",
            pickle.dumps(print),
            pickle.dumps({}),
            TARGET.wrap(artefact())[:-20],
        ):
            file.write_bytes(content)
            with pytest.raises(MHFFError, match="not a file of mhff compile --target lammps"):
                read_model(file)
        with pytest.raises(MHFFError, match="no file"):
            read_model(tmp_path / "other")


class TestLabels:
    def test_labels_mean_species_and_heads(self):
        labels = Labels(ELEMENTS, HEADS, "gas")
        index = torch.tensor([labels.names.index(name) for name in ("O", "H@bulk", "O@gas")])
        assert labels.species(index).tolist() == [1, 0, 1]
        assert labels.head_weights(index).tolist() == [[0, 1], [1, 0], [0, 1]]

    def test_no_default_head_no_plain_elements(self):
        assert Labels(ELEMENTS, HEADS, None).names == ["H@bulk", "O@bulk", "H@gas", "O@gas"]
        assert Labels(ELEMENTS, Heads([Head(name="only")]), None).names == [
            "H",
            "O",
            "H@only",
            "O@only",
        ]

    def test_warns_of_elements_a_head_was_not_trained_on(self):
        labels = Labels(ELEMENTS, HEADS, "gas")
        assert (
            labels.warnings(
                torch.tensor([labels.names.index(name) for name in ("H@gas", "O@bulk")])
            )
            == []
        )
        (sentence,) = labels.warnings(torch.tensor([labels.names.index("O")]))
        assert sentence.startswith("head 'gas' was not trained on O")


class Data:
    """LAMMPS' data of 3 local atoms, the second with a NULL label, and 2 ghosts; empty arrays fail
    as LAMMPS' do.
    """

    nlocal, ntotal, nlistatoms, natomneigh = 3, 5, 2, 2
    iatoms = np.array([2, 0], dtype=np.int32)
    elems = np.array([4, -1, 1, 4, 1], dtype=np.int32)
    tags = np.array([7, 3, 5, 7, 5], dtype=np.int32)
    pair_i = np.array([2, 2, 0], dtype=np.int32)
    pair_j = np.array([0, 3, 4], dtype=np.int32)
    rij = np.array([[1.0, 0, 0], [0, 2.0, 0], [0, 0, 3.0]])

    def __init__(self, **changes: Any) -> None:
        self.npairs = 3
        self.__dict__.update(changes)

    def update_pair_forces(self, gradients: np.ndarray) -> None:
        assert gradients.flags.c_contiguous
        assert gradients.dtype == np.float64
        assert self.npairs
        self.pair_forces = gradients


class TestTranslation:
    def test_ghosts_are_folded_to_owners_and_null_atoms_have_no_row(self):
        data = Data()
        step = read_step(data, data.tags)
        assert step.labels.tolist() == [1, 4]
        assert step.edge_index.tolist() == [[1, 1, 0], [0, 0, 1]]
        assert step.edge_vectors.tolist() == (-data.rij).tolist()

    def test_a_pair_with_an_atom_that_takes_no_part_is_never_evaluated(self):
        data = Data(pair_j=np.array([0, 3, 1], dtype=np.int32))
        with pytest.raises(RuntimeError, match="not in this pair style's list"):
            read_step(data, data.tags)

    def test_owners(self):
        assert owners(np.array([9, 2, 4, 4, 9, 2, 2]), 3).tolist() == [0, 1, 2, 2, 0, 1, 1]
        assert owners(np.zeros(0, dtype=int), 0).tolist() == []
        with pytest.raises(MHFFError, match="remove 'atom_modify id no'"):
            owners(np.zeros(4, dtype=int), 2)

    def test_no_pairs_and_no_atoms(self):
        def refuse(self):
            raise ValueError("Invalid shape in axis 0: 0.")

        empty = type("Empty", (Data,), dict.fromkeys(("pair_i", "pair_j", "rij"), property(refuse)))
        step = read_step(empty(npairs=0), Data.tags)
        assert step.labels.tolist() == [1, 4]
        assert step.edge_index.shape == (2, 0)
        nothing = type("Nothing", (empty,), dict.fromkeys(("iatoms", "elems"), property(refuse)))
        data = nothing(npairs=0, nlocal=0, ntotal=0, nlistatoms=0, natomneigh=0)
        assert read_step(data, np.zeros(0, dtype=int)).labels.shape == (0,)
        write_step(data, np.zeros(0), np.zeros((0, 3)))
        assert data.energy == 0.0

    def test_gradients_change_sign(self):
        data, gradients = Data(), np.arange(9.0).reshape(3, 3).T
        write_step(data, np.array([1.0, 2.0]), gradients)
        assert data.energy == 3.0
        assert data.eatoms.tolist() == [1.0, 2.0]
        assert data.pair_forces.tolist() == (-gradients).tolist()

    @pytest.mark.parametrize("energies", [[np.nan, 0.0], [np.inf, 0.0]])
    def test_numbers_that_are_not_finite_are_refused(self, energies):
        with pytest.raises(MHFFError, match="expected finite numbers"):
            write_step(Data(), np.array(energies), np.zeros((3, 3)))

    def test_labels_are_read_at_every_call_and_warned_of_once(self, capsys):
        def evaluate(edge_vectors, edge_index, species, head_weights):
            return (1.0 + species.to(torch.float64)).outer(
                torch.tensor([1.0, 10.0])
            ), torch.zeros_like(edge_vectors)

        adapter = Adapter(SimpleNamespace(evaluate=evaluate), Labels(ELEMENTS, HEADS, "gas"))
        energies = []
        for elems in ([4, -1, 1, 4, 1], [4, -1, 2, 4, 2], [4, -1, 1, 4, 1]):
            data = Data(elems=np.array(elems, dtype=np.int32))
            adapter.compute(data, lammps(data))
            energies.append(data.energy)
        assert energies == pytest.approx([20 + 10, 1 + 10, 20 + 10], abs=EXACT)
        assert capsys.readouterr().out.count("was not trained on O") == 1


def lammps(data: Data, **changes: Any) -> Any:
    """What an instance says of itself; `changes` of settings and globals by name."""
    ones = [1.0] * 4
    values = {
        "nlocal": data.nlocal,
        "nall": data.ntotal,
        "world_size": 1,
        "units": "metal",
        "nbonds": 0,
    }
    values |= {"special_lj": ones, "special_coul": ones} | changes
    extract = values.__getitem__
    arrays = SimpleNamespace(extract_atom={"id": data.tags}.__getitem__)
    return SimpleNamespace(extract_setting=extract, extract_global=extract, numpy=arrays)


class TestInstance:
    @pytest.mark.parametrize(
        ("changes", "sentence"),
        [
            ({"nlocal": 4}, "the instance that mhff knows has 4"),
            ({"world_size": 2}, "on one MPI rank, this run has 2"),
            ({"units": "real"}, "expected 'units metal'.*got 'units real'"),
            (
                {"nbonds": 1, "special_lj": [1.0, 0, 0, 0], "special_coul": [1.0, 0, 0, 0]},
                "special_bonds lj/coul 1 1 1",
            ),
        ],
    )
    def test_wrong_settings_are_refused(self, changes, sentence):
        with pytest.raises(MHFFError, match=sentence):
            check_settings(lammps(Data(), **changes), Data())

    @pytest.mark.parametrize(
        "changes",
        [
            {"special_lj": [1.0, 0, 0, 0], "special_coul": [1.0, 0, 0, 0]},  # no bonds
            {
                "nbonds": 1,
                "special_lj": [1.0, 0, 0, 0],
                "special_coul": [1.0, 0.5, 0.5, 0.5],
            },  # LAMMPS keeps these pairs
        ],
    )
    def test_harmless_settings_are_not(self, changes):
        check_settings(lammps(Data(), **changes), Data())

    def test_ghost_neighbours_are_refused(self):
        data = Data(natomneigh=4)
        with pytest.raises(MHFFError, match="expected 'pair_style mliap unified FILE 0', got 1"):
            check_settings(lammps(data), data)

    def test_kokkos_is_refused(self):
        data = type("MLIAPDataPy", (Data,), {"__module__": "mliap_unified_couple_kokkos"})()
        with pytest.raises(MHFFError, match="leave out '-sf kk'"):
            Adapter(SimpleNamespace(), Labels(ELEMENTS, HEADS, "gas")).compute(data)

    @pytest.mark.parametrize("name", ["Other", "MLIAPDataPy"])
    def test_unknown_data_is_refused_without_following_a_pointer(self, name):
        data = type(name, (), {})()
        with pytest.raises(MHFFError, match="expected LAMMPS version 20260704, got one whose data"):
            Instances().find(data)


class TestReporting:
    def test_a_driver_gets_the_exception(self):
        with pytest.raises(MHFFError), reporting.reported():
            raise MHFFError("a sentence")

    def test_inside_lmp_the_sentence_is_printed(self, capsys, monkeypatch):
        monkeypatch.setattr(sys, "orig_argv", [])
        with pytest.raises(SystemExit) as caught, reporting.reported():
            raise MHFFError("a sentence")
        assert caught.value.code == 2
        assert capsys.readouterr().err == "mhff: a sentence\n"
