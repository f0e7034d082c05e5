"""Files: atomic writes, checks of output paths, checksums, and the user's cache.

Imports nothing of mhff but its errors, so that every room can use it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import platformdirs

from mhff.errors import MHFFError

StrPath = str | os.PathLike[str]
UNFINISHED = ".mhff-"
"""Beginning of the names of files that are being written."""


def sha256(content: bytes | bytearray | memoryview) -> str:
    """SHA-256 of bytes, as hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def sha256_of_file(path: StrPath) -> str:
    """SHA-256 of a file that may be larger than memory; raises MHFFError if it cannot be read."""
    try:
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise MHFFError(f"cannot read '{path}' ({error.strerror}); check the path") from error


def read_file(path: StrPath) -> bytes:
    """Content of a file; raises MHFFError if it cannot be read."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise MHFFError(f"cannot read '{path}' ({error.strerror}); check the path") from error


def write_atomically(path: StrPath, content: bytes) -> None:
    """Write a file whole or not at all.

    Symbolic links are followed and an existing file keeps its permissions. A device or a pipe
    receives the content. Raises MHFFError if nothing can be written.
    """
    try:
        if _is_stream(path):
            with open(path, "wb") as stream:
                stream.write(content)
        else:
            _replace(Path(os.path.realpath(path)), content)
    except OSError as error:
        raise MHFFError(
            f"cannot write '{path}' ({error.strerror}); choose another place"
        ) from error


def check_output(path: StrPath, inputs: Iterable[StrPath] = (), option: str = "-o") -> None:
    """Raise MHFFError, before any work is done, if the file `path` could not be written.

    A path that names one of `inputs` is refused too. `option` is the setting that holds the path.
    """
    target = Path(path)
    try:
        if not os.fspath(path) or target.is_dir():
            named = f"the folder '{target}'" if os.fspath(path) else "nothing"
            raise MHFFError(
                f"expected the name of a file to write, got {named}; name one with {option}"
            )
        reason = _reason_against(target, inputs)
    except OSError as error:
        reason = str(error.strerror)
    if reason:
        raise MHFFError(f"cannot write '{target}' ({reason}); choose another place with {option}")


def remove_unfinished(folder: Path) -> None:
    """Remove what writers left in a folder that ended in the middle of `write_atomically`."""
    for path in folder.glob(f"{UNFINISHED}*"):
        path.unlink(missing_ok=True)


@contextmanager
def alone_in(folder: Path, option: str) -> Iterator[None]:
    """Keep other processes that ask for the same out of a folder, until this one ends.

    File systems without locks let everyone in. Raises MHFFError, which names the setting `option`,
    if another process is there.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            _lock(descriptor, folder, option)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path, option: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise MHFFError(
            f"another process is writing in '{folder}'; wait for its end, or choose another "
            f"{option}"
        ) from None


@contextmanager
def in_turn(file: Path, wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Let one process after another make a file, so that all but the first find it.

    `wait` is called if another process is making it. File systems without locks let everyone in,
    and so do folders that nothing can be written to.
    """
    lock = file.with_name(f".{file.name}.lock")
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT)
    except OSError:  # writing the file will say what is wrong
        yield
        return
    try:
        with suppress(OSError):
            _wait_for(descriptor, wait)
        yield
    finally:
        lock.unlink(missing_ok=True)
        os.close(descriptor)


def _wait_for(descriptor: int, wait: Callable[[], None]) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        wait()
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def cache_folder() -> Path:
    """The user's cache, for everything that mhff can make again."""
    return Path(platformdirs.user_cache_dir("mhff"))


def kernel_folder() -> Path:
    """Shared libraries with kernels, each for the shapes of one model."""
    return cache_folder() / "kernels"


def code_folder() -> Path:
    """Compiled code without weights, each for one architecture."""
    return cache_folder() / "code"


def artefact_folder() -> Path:
    """Compiled programs."""
    return cache_folder() / "artefacts"


def _replace(target: Path, content: bytes) -> None:
    """Write a temporary file beside `target` and rename it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f"{UNFINISHED}{secrets.token_hex(8)}")
    try:
        with temporary.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        if target.exists():
            shutil.copymode(target, temporary)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _reason_against(target: Path, inputs: Iterable[StrPath]) -> str | None:
    """Why `target` cannot or must not be written, or None."""
    is_stream = _is_stream(target)
    if target.exists():
        if any(os.path.exists(source) and target.samefile(source) for source in inputs):
            return "it is an input of this command"
        if is_stream:
            return None if os.access(target, os.W_OK) else "no permission"
        if not target.is_file():
            return "it is not a regular file"
    real = Path(os.path.realpath(target))
    folder = next(parent for parent in real.parents if parent.exists())
    if not folder.is_dir():
        return f"'{folder}' is not a folder"
    return None if os.access(folder, os.W_OK | os.X_OK) else f"no permission in '{folder}'"


def _is_stream(path: StrPath) -> bool:
    """Whether a path names a character device or a pipe, which is written to and never replaced."""
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    return stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)
