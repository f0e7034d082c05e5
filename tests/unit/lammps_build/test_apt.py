"""Debian's archive as the machine's own apt sources name it."""

from __future__ import annotations

from pathlib import Path

import pytest
from lammps_build import apt
from lammps_build.environment import BuildError

DEB822 = """\
Types: deb deb-src
# a comment
URIs: mirror://one/debian mirror://two/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 abc

Types: deb-src
URIs: mirror://sources/debian
Suites: bookworm
Components: main

Enabled: no
Types: deb
URIs: mirror://disabled/debian
Suites: bookworm
Components: main
"""
ONE_LINE = """\
# deb mirror://comment/debian bookworm main
deb [arch=amd64 signed-by=/keys.gpg] mirror://three/debian bookworm main contrib  # mine
deb mirror://four/debian bookworm main
deb-src mirror://sources/debian bookworm main
"""
SUITES = ["bookworm", "bookworm-updates"]


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of apt's, of a machine with Debian bookworm."""
    monkeypatch.setattr(
        apt.platform, "freedesktop_os_release", lambda: {"VERSION_CODENAME": "bookworm"}
    )
    folder = tmp_path / "apt"
    (folder / "sources.list.d").mkdir(parents=True)
    return folder


def test_entries_of_both_formats() -> None:
    first, second = apt.deb822_entries(DEB822)
    assert (first.uri, second.uri) == ("mirror://one/debian", "mirror://two/debian")
    assert first.suites == SUITES
    assert first.components == ["main", "contrib"]
    assert "BEGIN PGP" in first.signed_by
    assert list(apt.one_line_entries(ONE_LINE)) == [
        apt.AptEntry("mirror://three/debian", ["bookworm"], ["main", "contrib"], "/keys.gpg"),
        apt.AptEntry("mirror://four/debian", ["bookworm"], ["main"], ""),
    ]


def test_the_main_entry_is_debians(sources: Path) -> None:
    (sources / "sources.list.d" / "a.list").write_text("deb mirror://other/stuff bookworm main\n")
    (sources / "sources.list").write_text(ONE_LINE)
    assert apt.debian_entry("advice", sources).uri == "mirror://three/debian"


def test_no_entry_is_refused_with_advice(sources: Path) -> None:
    (sources / "sources.list").write_text("deb mirror://other/stuff bookworm main\n")
    with pytest.raises(BuildError, match=r"Debian's main component in .*, found 1 other.*: do so"):
        apt.debian_entry("do so", sources)


@pytest.mark.parametrize("kind", ["deb", "deb-src"])
def test_our_configuration_has_unstable_and_nothing_else(tmp_path: Path, kind: str) -> None:
    entry = apt.AptEntry("mirror://one/debian", SUITES, ["main"], "/keys.gpg")
    conf = apt.write_apt_files(tmp_path, entry, kind)
    assert (tmp_path / "unstable.sources").read_text().splitlines() == [
        f"Types: {kind}",
        "URIs: mirror://one/debian",
        "Suites: unstable",
        "Components: main",
        "Signed-By: /keys.gpg",
    ]
    assert f'Dir::Etc::sourcelist "{tmp_path}/unstable.sources"' in conf.read_text()


@pytest.mark.parametrize(
    ("message", "advice"),
    [
        ("E: Unable to connect", "look at the network and /etc/apt, or do so"),
        ("W: x\nE: The following signatures were invalid", "debian-archive-keyring"),
    ],
)
def test_errors_of_apt_become_sentences(tmp_path: Path, message: str, advice: str) -> None:
    program = tmp_path / "apt-get"
    program.write_text(f"#!/bin/sh\necho '{message}' >&2\nexit 100\n")
    program.chmod(0o755)
    suite = apt.Unstable(tmp_path, tmp_path / "conf", "do so")
    with pytest.raises(BuildError) as error:
        suite.run(str(program), "update")
    assert f'update` to work, got "{message.splitlines()[-1][3:]}"' in str(error.value)
    assert advice in str(error.value)


def test_without_apt_there_is_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildError, match="expected apt-get, found none on PATH: do so"):
        apt.open_unstable(tmp_path, "deb", "do so")
