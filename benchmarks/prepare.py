"""Prepares the benchmarks: peers, random models, and the same models in mhff.

    .venv/bin/python benchmarks/prepare.py

It needs `make peer` and takes about half an hour, in most of which the peers compile their kernels
for these shapes. Everything is kept in the user's cache and made only once.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from mhff.files import cache_folder
from mhff.interop.mace.importer import import_model
from mhff_bench.contenders import Choice, contenders
from mhff_bench.peers import PEERS
from mhff_bench.systems import find_system
from mhff_bench.turns import as_request

ROOT = Path(__file__).resolve().parents[1]
PYTHON = ROOT / ".venv-peer" / "bin" / "python"
FOLDER = cache_folder() / "benchmarks"
SYMMETRIX = "symmetrix-xl==0.1.1"
HEADS = {"mp": "materials", "mh1": "omat_pbe"}
"""Heads that are measured, by shape."""
SHAPES = (*HEADS, "small", "everything", "mh1-everything")
"""Shapes of random models.

`small`, the bundled model's, is trained only. Those with `everything` know 89 elements: one for the
suite, one for `all_elements.py`."""
COMPARED = (("mp", "float32"), ("mp", "float64"), ("mh1", "float32"))
"""Shapes and precisions that are compared with peers."""
PYTHON_PEERS = tuple(name for name, peer in PEERS.items() if "python" in peer.engines)
"""Peers that evaluate a ready neighbour list."""
SIZES = (64, 216)
"""Numbers of atoms that they are compared at."""


def install() -> None:
    """Put Symmetrix-XL into the peer environment."""
    if not PYTHON.exists():
        raise SystemExit(f"no {PYTHON}: run `make peer` first")
    subprocess.run([PYTHON, "-m", "pip", "install", "--quiet", SYMMETRIX], check=True)


def make_models() -> None:
    """Random models of mace-torch, and imported."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    if not all((FOLDER / f"{shape}.model").exists() for shape in SHAPES):
        script = ROOT / "benchmarks" / "write_models.py"
        subprocess.run([PYTHON, "-W", "ignore", script, FOLDER], check=True)
    for shape in SHAPES:
        import_model(FOLDER / f"{shape}.model").model.save(FOLDER / f"{shape}.mhff")


def choice(
    shape: str,
    dtype: str,
    threads: tuple[int, ...] = (1,),
    against: tuple[str, ...] = PYTHON_PEERS,
) -> Choice:
    """Our program of a shape against peers."""
    return Choice(
        str(FOLDER / f"{shape}.mhff"),
        dtypes=(dtype,),
        head=HEADS[shape],
        threads=threads,
        against=against,
        peer_python=PYTHON,
        peer_model=FOLDER / f"{shape}.model",
    )


def compile_all() -> None:
    """Let every contender compile what it needs, at the sizes that are compared."""
    for shape, dtype in COMPARED:
        for contender in contenders(choice(shape, dtype)):
            print(shape, contender.label, flush=True)
            with contender.start() as worker:
                for n_atoms in SIZES:
                    worker.ask("prepare", as_request(find_system("mgo").atoms(n_atoms)))


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    install()
    make_models()
    compile_all()
