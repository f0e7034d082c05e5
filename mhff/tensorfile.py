"""A file of tensors with a header: safetensors whose content is checked as a whole.

The metadata has two entries: `mhff`, a JSON object with the format version and further fields; and
`sha256`, the checksum of that JSON and of all tensors. Equal content gives equal bytes.
"""

from __future__ import annotations

import hashlib
import json
import textwrap
from collections.abc import Mapping
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as serialise_tensors

from mhff.errors import MHFFError

FORMAT_VERSION = 2


def pack(fields: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> bytes:
    """Content of a file with these header fields and tensors."""
    on_cpu = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    header = json.dumps({"format_version": FORMAT_VERSION, **fields}, sort_keys=True)
    metadata = {"mhff": header, "sha256": content_checksum(header, on_cpu)}
    return _with_sorted_metadata(serialise_tensors(on_cpu, metadata))


def unpack(content: bytes, name: str) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Header fields and tensors of a file; `name` is for error messages.

    Raises MHFFError, in one sentence, for content that is truncated, damaged, foreign or of another
    format version.
    """
    header, checksum = _metadata(content, name)
    try:
        tensors = parse_tensors(content)
        found = content_checksum(header, tensors)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        reason = textwrap.shorten(str(error), 200)
        raise MHFFError(
            f"'{name}' is truncated or damaged ({reason}); get the file again"
        ) from error
    if found != checksum:
        raise MHFFError(
            f"'{name}' is damaged: its checksum does not match its content; get the file again"
        )
    fields: dict[str, Any] = json.loads(header)
    del fields["format_version"]
    return fields, tensors


def _metadata(content: bytes, name: str) -> tuple[str, str]:
    """JSON header and checksum as the file states them; refuses files of another kind."""
    if not looks_like_tensors(content):
        raise MHFFError(
            f"'{name}' is not a .mhff model file; give one made by `mhff train` or `mhff "
            "import-mace`"
        )
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 + length:
        raise MHFFError(
            f"'{name}' is truncated: its header alone is {length} bytes, the file {len(content)}; "
            "get the file again"
        )
    try:
        metadata = json.loads(content[8 : 8 + length])["__metadata__"]
        header = metadata["mhff"]
        checksum = metadata["sha256"]
        version = json.loads(header)["format_version"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise MHFFError(
            f"'{name}' is not a .mhff model file: it has no mhff header; give one made by `mhff "
            "train`"
        ) from error
    if version != FORMAT_VERSION:
        remedy = "make the file again" if version == 1 else "update mhff"
        raise MHFFError(
            f"'{name}' has format version {version}, but this mhff reads version {FORMAT_VERSION}; "
            f"{remedy}"
        )
    return header, checksum


def looks_like_tensors(content: bytes) -> bool:
    """Whether content begins as safetensors do: 8 bytes of header length, then a JSON object."""
    return content[8:9] == b"{"


def content_checksum(header: str, tensors: Mapping[str, torch.Tensor]) -> str:
    """Checksum over the JSON header and the tensors, independent of their order in the file."""
    digest = hashlib.sha256(header.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def _with_sorted_metadata(content: bytes) -> bytes:
    """The same file with its metadata in order; safetensors writes them in random order."""
    length = int.from_bytes(content[:8], "little")
    table = json.loads(content[8 : 8 + length])
    table["__metadata__"] = dict(sorted(table["__metadata__"].items()))
    header = json.dumps(table, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # tensors stay aligned
    return len(header).to_bytes(8, "little") + header + content[8 + length :]
