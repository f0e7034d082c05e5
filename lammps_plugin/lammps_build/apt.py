"""Read Debian's `unstable` suite with apt; the machine's own apt state stays unchanged.

The archive's address and signing keys come from the machine's own apt sources. apt verifies the
suite's signature with those keys, and each file's checksum with the suite's index.
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .environment import BuildError, say

APT = Path("/etc/apt")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

APT_CONF = """\
Dir::Etc::sourcelist "{folder}/unstable.sources";
Dir::Etc::sourceparts "/dev/null";
Dir::State::lists "{folder}/lists";
Dir::Cache "{folder}/cache";
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
APT::Get::AllowUnauthenticated "false";
Acquire::AllowInsecureRepositories "false";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
"""


@dataclass(frozen=True)
class AptEntry:
    """One source of packages, whichever format it was written in."""

    uri: str
    suites: list[str]
    components: list[str]
    signed_by: str  # a file, a fingerprint or, over several lines, the key itself; may be empty


def deb822_entries(text: str) -> Iterator[AptEntry]:
    """The enabled binary entries of a `.sources` file."""
    text = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n\s*\n", text):
        fields = {
            key.lower(): value.rstrip()
            for key, value in re.findall(
                r"^([\w-]+):[ \t]*(.*(?:\n[ \t].*)*)", stanza, re.MULTILINE
            )
        }
        if "deb" in fields.get("types", "").split() and fields.get(
            "enabled", "yes"
        ).lower() not in ("no", "false", "0"):
            uris, suites, components = (
                fields.get(key, "").split() for key in ("uris", "suites", "components")
            )
            yield from (
                AptEntry(uri, suites, components, fields.get("signed-by", "")) for uri in uris
            )


def one_line_entries(text: str) -> Iterator[AptEntry]:
    """The binary entries of a `.list` file."""
    for options, uri, suite, components in re.findall(
        r"^deb\s+(?:\[(.*?)\]\s+)?(\S+)\s+(\S+)\s+([^#\n]+)", text, re.MULTILINE
    ):
        signed_by = re.search(r"signed-by=(\S+)", options)
        yield AptEntry(uri, [suite], components.split(), signed_by.group(1) if signed_by else "")


def debian_entry(advice: str, apt: Path = APT) -> AptEntry:
    """The machine's main Debian entry; `advice` says what to do where there is none."""
    codename = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    release_suites = {codename, "stable", "testing", "unstable", "sid"} - {""}
    entries = [
        entry
        for file in sorted(apt.glob("sources.list.d/*.sources"))
        for entry in deb822_entries(file.read_text())
    ]
    for file in [apt / "sources.list", *sorted(apt.glob("sources.list.d/*.list"))]:
        entries += one_line_entries(file.read_text()) if file.exists() else []
    for entry in entries:
        is_debian = "debian" in (entry.uri + entry.signed_by).lower()
        if is_debian and "main" in entry.components and release_suites.intersection(entry.suites):
            return entry
    raise BuildError(
        f"expected an entry for Debian's main component in {apt}, found {len(entries)} other "
        f"entries: {advice}."
    )


def write_apt_files(folder: Path, entry: AptEntry, kind: str) -> Path:
    """Write and return an apt configuration with a source list of `unstable` and nothing else."""
    signed_by = entry.signed_by or (str(KEYRING) if KEYRING.exists() else "")
    lines = [f"Types: {kind}", f"URIs: {entry.uri}", "Suites: unstable", "Components: main"]
    if signed_by:
        lines.append(f"Signed-By: {signed_by}")
    for name in ("lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "unstable.sources").write_text("\n".join(lines) + "\n")
    conf = folder / "apt.conf"
    conf.write_text(APT_CONF.format(folder=folder))
    return conf


@dataclass(frozen=True)
class Unstable:
    """Debian's `unstable` suite, read into a folder of ours."""

    folder: Path
    conf: Path
    advice: str  # what to do where the suite cannot be read

    def run(self, program: str, *arguments: str) -> str:
        """Run an apt program and return its output; the last error becomes the user's sentence."""
        done = subprocess.run(
            [program, "-c", self.conf, *arguments],
            cwd=self.folder,
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode == 0:
            return done.stdout
        errors = [line[3:] for line in done.stderr.splitlines() if line.startswith("E: ")] or [
            done.stderr.strip()
        ]
        advice = f"look at the network and {APT}, or {self.advice}"
        if re.search(
            r"NO_PUBKEY|EXPKEYSIG|not signed|signatures were invalid|Missing key", done.stderr
        ):
            advice = (
                "the signing keys for unstable are missing or too old: `apt-get install "
                "--only-upgrade debian-archive-keyring`"
            )
        raise BuildError(
            f'expected `{program} {arguments[0]}` to work, got "{errors[0]}": {advice}.'
        )


def open_unstable(folder: Path, kind: str, advice: str) -> Unstable:
    """Read the index of the suite into `folder`; `kind`: `deb` (binaries) or `deb-src` (sources).

    Raises BuildError, with `advice`, where there is no apt, no Debian, no network or no key.
    """
    if shutil.which("apt-get") is None:
        raise BuildError(f"expected apt-get, found none on PATH: {advice}.")
    entry = debian_entry(advice)
    keys = (
        "the keys in apt's own entry"
        if "\n" in entry.signed_by
        else entry.signed_by or "apt's trusted keys"
    )
    say(f"reading Debian unstable, its signature checked with {keys}")
    suite = Unstable(folder, write_apt_files(folder, entry, kind), advice)
    suite.run("apt-get", "update")
    return suite
