"""A file that is written bit by bit, and is itself only when it is whole.

Until then its content is in `NAME.unfinished`, and `NAME.unfinished.json` records what is being
written there and how much of it is whole. A run that is killed and started again goes on there.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mhff.errors import MHFFError, listing
from mhff.files import write_atomically

SUFFIX = ".unfinished"
SECONDS_BETWEEN_RECORDS = 1.0


class Unfinished:
    """A file on its way, for one process at a time; `purpose` says what is written."""

    def __init__(self, path: Path, purpose: Mapping[str, Any]) -> None:
        self.path = Path(os.path.realpath(path))
        self.purpose = dict(purpose)
        self.content = self.path.with_name(self.path.name + SUFFIX)
        self.record = self.content.with_name(self.content.name + ".json")
        self.n_parts = 0
        """Parts that are written."""
        self.troubles: list[str] = []
        """Sentences that the end of the run repeats."""
        self._recorded = time.monotonic()

    @contextmanager
    def opened(self) -> Iterator[Unfinished]:
        """Begin, or go on where an earlier run stopped.

        Raises MHFFError if that run was for something else, if another process is writing, and if
        nothing can be written.
        """
        with _written(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.content.open("ab") as self._stream:
                _lock(self._stream.fileno(), self.path)
                self._continue()
                try:
                    yield self
                finally:
                    if self.content.exists():
                        self._save()

    def append(self, text: bytes, troubles: Sequence[str]) -> None:
        """Add a part; now and then record how far the file is whole."""
        with _written(self.path):
            self._stream.write(text)
        self.n_parts += 1
        self.troubles += troubles
        if time.monotonic() - self._recorded > SECONDS_BETWEEN_RECORDS:
            self._save()

    def finish(self) -> None:
        """Give the file its name."""
        with _written(self.path):
            self._stream.flush()
            os.fsync(self._stream.fileno())
            if self.path.exists():
                shutil.copymode(self.path, self.content)
            self.content.replace(self.path)
            self.record.unlink(missing_ok=True)

    def _save(self) -> None:
        with _written(self.path):
            self._stream.flush()
            os.fsync(self._stream.fileno())
        content = {
            "purpose": self.purpose,
            "bytes": self._stream.tell(),
            "parts": self.n_parts,
            "troubles": self.troubles,
        }
        write_atomically(self.record, json.dumps(content, indent=1).encode())
        self._recorded = time.monotonic()

    def _continue(self) -> None:
        """Take up what an earlier run recorded; what it wrote after that is written again."""
        known = self._known()
        self._stream.truncate(known["bytes"])
        self._stream.seek(known["bytes"])
        self.n_parts = known["parts"]
        self.troubles = known["troubles"]

    def _known(self) -> dict[str, Any]:
        """The record of an earlier run, or that of a beginning."""
        nothing: dict[str, Any] = {"bytes": 0, "parts": 0, "troubles": []}
        if not self.record.exists():
            return nothing
        try:
            known: dict[str, Any] = json.loads(self.record.read_bytes())
            before = known["purpose"]
            if known["bytes"] > self.content.stat().st_size:  # it ended while it finished
                return nothing
        except (ValueError, TypeError, KeyError) as error:
            raise MHFFError(
                f"'{self.record}' is damaged; delete it, and '{self.content.name}' beside it, to "
                "begin anew"
            ) from error
        names = {*before, *self.purpose}
        changed = sorted(name for name in names if before.get(name) != self.purpose.get(name))
        if changed:
            raise MHFFError(
                f"'{self.content}' was begun with another {listing(changed)}; repeat the command "
                f"that began it, delete it together with '{self.record.name}', or choose another -o"
            )
        return known


@contextmanager
def _written(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise MHFFError(
            f"cannot write '{path}' ({error.strerror}); make room, or choose another -o"
        ) from error


def _lock(descriptor: int, path: Path) -> None:
    """Keep other processes out until the file is closed; raises MHFFError if one is there."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise MHFFError(
            f"another process is writing '{path}'; wait for its end, or choose another -o"
        ) from None
    except OSError:  # a file system without locks
        return
