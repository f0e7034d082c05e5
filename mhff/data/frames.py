"""The frames of a file by number, each read when it is asked for.

Extended XYZ, ASE's SQLite databases, `.aselmdb` and `.traj` are read frame by frame; other formats
that ASE reads are held in memory. A file that changes while it is in use is refused. Objects of
this module may be sent to other processes, which open the file themselves.
"""

from __future__ import annotations

import io
import os
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

import ase.db
import ase.io
import numpy as np
from ase import Atoms
from ase.io.extxyz import read_xyz
from ase.io.formats import filetype
from ase.io.trajectory import TrajectoryReader

from mhff.errors import MHFFError

LMDB_SUFFIX = ".aselmdb"
COMPRESSED = (".gz", ".bz2", ".xz")
"""Endings of compressed files, which ASE opens."""


class Stamp(NamedTuple):
    """The state of a file, to notice a change."""

    size: int
    modified: int
    """Time of the last change, ns."""


class Frames:
    """The frames of one file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stamp = _stamp(path)

    @abstractmethod
    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Atoms:
        """A frame; raises MHFFError if it cannot be read, or if the file has changed."""
        if _stamp(self.path) != self.stamp:
            raise MHFFError(
                f"'{self.path}' has changed since it was first read; leave it alone during a run, "
                "and start again"
            )
        with _readable(self.path, f"structure {index + 1} of '{self.path}'"):
            return self._read(index)

    def __iter__(self) -> Iterator[Atoms]:
        return (self[index] for index in range(len(self)))

    @abstractmethod
    def _read(self, index: int) -> Atoms:
        """Read a frame."""


class ExtendedXYZ(Frames):
    """Frames at known places of an extended XYZ file."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        with path.open("rb") as stream:
            self.starts = np.array([*_starts(stream)], dtype=np.int64)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def _read(self, index: int) -> Atoms:
        start, end = self.starts[index : index + 2].tolist()
        with self.path.open("rb") as stream:  # there may be more files than a process may keep open
            stream.seek(start)
            text = stream.read(end - start).decode()
        frames: list[Atoms] = list(read_xyz(io.StringIO(text), slice(0, None)))
        return frames[0]


class Rows(Frames):
    """Rows of an ASE database."""

    def __init__(self, path: Path, connect: Callable[[Path], Any], identifiers: Any) -> None:
        super().__init__(path)
        self.connect = connect
        self._process = -1
        self._database: Any = None
        self.identifiers = np.array(identifiers(self.database), dtype=np.int64)

    def __len__(self) -> int:
        return len(self.identifiers)

    @property
    def database(self) -> Any:
        """The database in this process, which must not use that of its parent."""
        if self._process != os.getpid():
            self._database = self.connect(self.path)
            self._process = os.getpid()
        return self._database

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_process": -1, "_database": None}

    def _read(self, index: int) -> Atoms:
        row = self.database.get(id=int(self.identifiers[index]))
        frame: Atoms = row.toatoms(add_additional_information=True)
        return frame


class Trajectory(Frames):
    """Frames of ASE's own format."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        with TrajectoryReader(path) as reader:
            self.n_frames = len(reader)

    def __len__(self) -> int:
        return self.n_frames

    def _read(self, index: int) -> Atoms:
        with TrajectoryReader(self.path) as reader:
            frame: Atoms = reader[index]
        return frame


class Loaded(Frames):
    """Frames of a format that is only read as a whole."""

    def __init__(self, path: Path, frames: Sequence[Atoms]) -> None:
        super().__init__(path)
        self.frames = frames

    def __len__(self) -> int:
        return len(self.frames)

    def _read(self, index: int) -> Atoms:
        return self.frames[index]


def open_frames(path: str | Path) -> Frames:
    """The frames of a file; raises MHFFError for a missing, unreadable or empty file."""
    path = Path(path)
    if not path.is_file():
        raise MHFFError(f"no file '{path}': expected structures in extended XYZ; check the path")
    with _readable(path, f"structures from '{path}'"):
        frames = _open(path)
        if not len(frames):
            raise MHFFError(f"'{path}' holds no structures; expected at least one")
    return frames


def _open(path: Path) -> Frames:
    if path.suffix == LMDB_SUFFIX:
        return Rows(path, _connect_lmdb, _lmdb_identifiers)
    kind = filetype(str(path))
    if kind == "extxyz" and path.suffix not in COMPRESSED:
        return ExtendedXYZ(path)
    if kind == "traj":
        return Trajectory(path)
    if kind == "db":
        return Rows(path, _connect_sqlite, _sqlite_identifiers)
    if kind == "json":  # ase.io.read leaves out what users add to a row
        with ase.db.connect(path, type="json", serial=True) as database:
            rows = [row.toatoms(add_additional_information=True) for row in database.select()]
        return Loaded(path, rows)
    return Loaded(path, list(ase.io.iread(str(path), ":", do_not_split_by_at_sign=True)))


def _starts(stream: Any) -> Iterator[int]:
    """Places where the frames of an extended XYZ file start, and the end of the last one.

    Lines without text between frames are skipped; ASE would end there. Lattice vectors in lines of
    their own (VEC1, ...) belong to the frame before them.
    """
    start = 0
    number = 0
    while line := stream.readline():
        if line.strip() and not line.lstrip().startswith(b"VEC"):
            number += 1
            n_lines = int(line) + 1
            if any(not stream.readline() for _ in range(n_lines)):
                raise ValueError(f"structure {number} is cut short")
            yield start
        start = stream.tell()
    yield start


def _connect_sqlite(path: Path) -> Any:
    return ase.db.connect(path, type="db", serial=True)


def _sqlite_identifiers(database: Any) -> list[int]:
    return [row.id for row in database.select(columns=["id"], include_data=False)]


_open_databases: WeakValueDictionary[tuple[int, Path, Stamp], Any] = WeakValueDictionary()
"""LMDB refuses to open a file twice in one process, so all that read it share it."""


def _connect_lmdb(path: Path) -> Any:
    """A database in LMDB, the format of OMat24, OMol25 and OC20, which ASE reads with a plug-in."""
    key = (os.getpid(), path.resolve(), _stamp(path))
    database = _open_databases.get(key)
    if database is None:
        _close_inherited()
        database = _open_lmdb(path)
        _open_databases[key] = database
    return database


def _close_inherited() -> None:
    """Close what the parent of this process had open: it counts as open here, but is of no use."""
    for (process, _, _), database in list(_open_databases.items()):
        if process != os.getpid():
            database._env.close()
            database._env_pid = os.getpid()  # or its end would open the file once more


def _open_lmdb(path: Path) -> Any:
    try:
        import_module("ase_db_backends")
        # a damaged file first meets LMDB itself: the plug-in would print a traceback at its end
        import_module("lmdb").open(str(path), subdir=False, readonly=True, lock=False).close()
        return ase.db.connect(path, type="aselmdb", readonly=True, use_lock_file=False)
    except ModuleNotFoundError as error:
        raise MHFFError(
            f"'{path}' needs {error.name}, which is not installed; get it with pip install "
            "'mhff[aselmdb]'"
        ) from error


def _lmdb_identifiers(database: Any) -> list[int]:
    return list(database.ids)


def _stamp(path: Path) -> Stamp:
    try:
        status = path.stat()
    except OSError as error:
        raise MHFFError(f"cannot read '{path}' ({error.strerror}); check the path") from error
    return Stamp(status.st_size, status.st_mtime_ns)


@contextmanager
def _readable(path: Path, things: str) -> Iterator[None]:
    """Turn any exception of ASE's readers into a sentence."""
    try:
        yield
    except MHFFError:
        raise
    except Exception as error:  # ASE's readers may raise any exception
        reason = " ".join(str(error).split()) or type(error).__name__
        raise MHFFError(
            f"cannot read {things} ({reason}); expected extended XYZ or another format that ASE "
            "reads"
        ) from error
