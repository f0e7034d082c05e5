"""Files are written whole, where the user said, and never over a device, a link or an input."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mhff.errors import MHFFError
from mhff.files import (
    alone_in,
    check_output,
    in_turn,
    read_file,
    remove_unfinished,
    sha256,
    write_atomically,
)

CONTENT = b"content"


def test_sha256() -> None:
    assert sha256(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256(memoryview(bytearray(b"abc"))) == sha256(b"abc")


def test_files_are_written_with_their_folders_and_nothing_is_left(tmp_path: Path) -> None:
    path = tmp_path / "deeper" / "still" / "file"
    write_atomically(path, CONTENT)
    assert path.read_bytes() == CONTENT
    assert os.listdir(path.parent) == ["file"]


def test_new_files_have_the_permissions_of_the_umask(tmp_path: Path) -> None:
    script = "import os, mhff.files; os.umask(0o027); mhff.files.write_atomically('a', b'')"
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_existing_files_keep_their_permissions(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o600)
    write_atomically(path, CONTENT)
    assert path.read_bytes() == CONTENT
    assert path.stat().st_mode & 0o777 == 0o600


def test_long_names_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    check_output(path)
    write_atomically(path, CONTENT)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("exists", [True, False])
def test_links_are_followed(tmp_path: Path, exists: bool) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    target, link = folder / "target", tmp_path / "link"
    if exists:
        target.write_bytes(b"old")
    link.symlink_to(target)
    check_output(link)
    write_atomically(link, CONTENT)
    assert link.is_symlink()
    assert target.read_bytes() == CONTENT
    assert os.listdir(folder) == ["target"]


def test_devices_are_written_to(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(os.devnull)
    for path in (os.devnull, link):
        check_output(path)
        write_atomically(path, CONTENT)
    assert Path(os.devnull).is_char_device()
    assert link.is_symlink()


def test_pipes_are_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()))
    reader.start()
    write_atomically(pipe, CONTENT)
    reader.join()
    assert received == [CONTENT]
    assert pipe.is_fifo()


def test_a_full_device_is_said() -> None:
    with pytest.raises(MHFFError, match=r"cannot write '/dev/full' \(No space left on device\)"):
        write_atomically("/dev/full", CONTENT)


def refused_output(path: str | Path, *inputs: Path) -> str:
    with pytest.raises(MHFFError) as caught:
        check_output(path, inputs, "--plot")
    assert str(caught.value).endswith("with --plot")
    return str(caught.value)


def test_places_where_no_file_can_be_written(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(CONTENT)
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert "got nothing" in refused_output("")
    assert f"got the folder '{tmp_path}'" in refused_output(tmp_path)
    assert f"'{file}' is not a folder" in refused_output(file / "below")
    assert "File name too long" in refused_output(tmp_path / ("n" * 256))
    assert "symbolic links" in refused_output(loop)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_places_without_permission(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    assert f"no permission in '{folder}'" in refused_output(folder / "file")


@pytest.mark.parametrize("kind", ["itself", "link", "hard link", "another spelling"])
def test_an_input_is_not_an_output(tmp_path: Path, kind: str) -> None:
    source, other = tmp_path / "source", tmp_path / "other"
    source.write_bytes(CONTENT)
    if kind == "link":
        other.symlink_to(source)
    elif kind == "hard link":
        other.hardlink_to(source)
    spelt = {"itself": source, "another spelling": tmp_path / "missing" / ".." / "source"}
    if kind == "another spelling":
        (tmp_path / "missing").mkdir()
    assert "it is an input of this command" in refused_output(spelt.get(kind, other), source)
    assert source.read_bytes() == CONTENT


def test_reading_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(MHFFError, match=r"cannot read '.*' \(Is a directory\); check the path"):
        read_file(tmp_path)


def import_over_input(path: Path) -> None:
    from mhff.cli.import_mace import import_mace

    import_mace(path, path, None)


def import_over_head_info(path: Path) -> None:
    from mhff.cli.import_mace import import_mace

    import_mace(Path("other.model"), path, path)


def compile_over_input(path: Path) -> None:
    from mhff_deploy.cli import compile_command

    compile_command(str(path), str(path), target="aoti")


def plot_over_data(path: Path) -> None:
    from mhff.cli.evaluate import evaluate

    evaluate("mini", [path], plot=path)


def plot_over_model(path: Path) -> None:
    from mhff.cli.evaluate import evaluate

    evaluate(str(path), [Path(__file__)], plot=path)


def train_over_data(path: Path) -> None:
    from mhff.train.run import Run
    from mhff.train.settings import Settings

    fields = {"heads": {"a": {"files": [path]}}, "run": {"out": path.parent}, "name": path.stem}
    Run(Settings.model_validate(fields))


@pytest.mark.parametrize(
    "command",
    [
        import_over_input,
        import_over_head_info,
        compile_over_input,
        plot_over_data,
        plot_over_model,
        train_over_data,
    ],
)
def test_no_command_overwrites_its_input(tmp_path: Path, command: Callable[[Path], None]) -> None:
    from mhff.modelfile import model_path

    path = tmp_path / "input.mhff"
    shutil.copy(model_path("mini"), path)
    with pytest.raises(
        MHFFError, match=r"\(it is an input of this command\); choose another place"
    ):
        command(path)
    assert path.read_bytes() == model_path("mini").read_bytes()


def test_only_one_process_writes_in_a_folder(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from mhff.files import alone_in\n"
        "with alone_in(Path(sys.argv[1]), 'run.out'): print('alone')\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with alone_in(tmp_path, "run.out"):
        refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert f"another process is writing in '{tmp_path}'; wait for its end, or" in refused.stderr
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "alone\n"
    assert not list(tmp_path.iterdir())


def test_what_a_killed_writer_left_is_removed(tmp_path: Path) -> None:
    for name in (".mhff-0123456789abcdef", ".mine", "model.mhff"):
        (tmp_path / name).touch()
    remove_unfinished(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {".mine", "model.mhff"}


IN_TURN = """
import sys, time
from pathlib import Path
from typing import Any
from mhff.files import in_turn
file = Path(sys.argv[1])
with in_turn(file, lambda: print("waits", flush=True)):
    if file.exists():
        print("finds it")
    else:
        print("makes it", flush=True)
        sys.stdin.readline()
        file.touch()
"""


def test_processes_make_a_file_in_turn(tmp_path: Path) -> None:
    file = tmp_path / "cache" / "program.pt2"
    command = [sys.executable, "-c", IN_TURN, str(file)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "makes it\n"
        with subprocess.Popen(command, **pipes) as second:
            assert second.stdout is not None
            assert second.stdout.readline() == "waits\n"
            first.communicate("go on\n")
            assert second.communicate()[0] == "finds it\n"
    assert list(file.parent.iterdir()) == [file]


def test_a_folder_without_room_for_a_lock_lets_everyone_in(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with in_turn(tmp_path / "file" / "program.pt2"):
        pass
