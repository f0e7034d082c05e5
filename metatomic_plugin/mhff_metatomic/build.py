"""From an artefact in TorchScript to a model of metatomic, and to the content of its file."""

from __future__ import annotations

import datetime
import io
import json
import platform
import warnings

import metatomic.torch
import torch
from ase.data import atomic_numbers
from metatomic.torch import AtomisticModel, ModelCapabilities, ModelMetadata, ModelOutput

import mhff
from mhff.atoms import species_by_number
from mhff.capabilities import Capabilities
from mhff.errors import MHFFError, TooManyElementsError, listing
from mhff_deploy.artefact.content import Manifest, library_name
from mhff_deploy.artefact.runtime import load_artefact
from mhff_deploy.artefact.scripts import script_without_python
from mhff_metatomic.adapter import Adapter

ENERGY = "energy"
"""metatomic's name for an energy; its variants follow after a slash."""
ARCHITECTURE = (
    "I. Batatia, D. P. Kovacs, G. N. C. Simm, C. Ortner, G. Csanyi: MACE (arXiv 2206.07697)",
    "I. Batatia et al.: Cross Learning between Electronic Structure Theories (arXiv 2510.25380)",
)


def build_model(artefact: bytes, name: str) -> AtomisticModel:
    """The model of metatomic that runs an artefact, which is called `name` in messages.

    Raises MHFFError for a program that has no kernels or too many elements.
    """
    evaluator = load_artefact(artefact, name)
    manifest = evaluator.manifest
    can = manifest.capabilities
    if not manifest.kernels:
        raise MHFFError(
            f"'{name}' has no kernels, and its heavy operations would need Python; install a C++ "
            "compiler and recompile it"
        )
    try:
        program = script_without_python(evaluator, torch.arange(len(can.elements)))
    except TooManyElementsError as error:
        raise MHFFError(
            "expected few elements for metatomic, whose models hold tables for all of them, got "
            f"{len(can.elements)}; choose those of the simulation with --elements, or "
            "--table-error 0"
        ) from error
    species = torch.from_numpy(species_by_number(can.elements))
    adapter = Adapter(program, rows(can), species, can.default_state, can.r_max)
    return AtomisticModel(adapter.eval(), metadata(manifest), capabilities(can))


def rows(can: Capabilities) -> dict[str, torch.Tensor]:
    """Head weights of each output: the default head, and every head and mix as a variant."""
    variants = {f"{ENERGY}/{name}": can.head_row(name) for name in can.head_names}
    return {ENERGY: can.head_row(None), **variants}


def capabilities(can: Capabilities) -> ModelCapabilities:
    """What metatomic's engines must know of a program."""
    outputs = {ENERGY: _output(f"energy by the head {can.default_head}")}
    for head in can.heads:
        elements = f", trained on {listing(head.elements)}" if head.elements else ""
        about = f"energy by the head {head.name}: {head.level_of_theory}{elements}"
        outputs[f"{ENERGY}/{head.name}"] = _output(about)
    for mix in can.mixes:
        outputs[f"{ENERGY}/{mix.name}"] = _output(f"energy by the mix {mix}")
    return ModelCapabilities(
        outputs=outputs,
        atomic_types=[atomic_numbers[symbol] for symbol in can.elements],
        interaction_range=can.n_layers * can.r_max,
        length_unit="angstrom",
        supported_devices=["cpu"],
        dtype=str(can.precision),
    )


def _output(description: str) -> ModelOutput:
    return ModelOutput(unit="eV", sample_kind="atom", description=description)


def metadata(manifest: Manifest) -> ModelMetadata:
    """Heads, licences and citations, as engines print them."""
    heads = manifest.capabilities.heads
    about = [f"{head.name}: {head.level_of_theory}, for {head.domain}" for head in heads]
    return ModelMetadata(
        name=f"mhff model with the heads {listing(heads.names)}",
        description="; ".join(about),
        references={
            "architecture": [*ARCHITECTURE],
            "implementation": [f"mhff {mhff.__version__}"],
            "model": [*dict.fromkeys(head.citation for head in heads if head.citation)],
        },
        extra={
            "model_sha256": manifest.model_sha256,
            "licences": listing(f"{head.name}: {head.licence}" for head in heads),
        },
    )


def to_bytes(model: AtomisticModel, manifest: Manifest) -> bytes:
    """The content of metatomic's file; the library of kernels is its extension.

    `AtomisticModel.save` would take all libraries of this process for extensions.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is deprecated; metatomic needs it
        script = torch.jit.script(model.eval())
    extension = {"name": manifest.kernels, "path": library_name(manifest.kernels)}
    members = {
        "torch-version": torch.__version__,
        "metatomic-version": metatomic.torch.__version__,
        "extensions": json.dumps([extension]),
        "extensions-deps": json.dumps([]),
        "export-metadata": json.dumps(
            {
                "date": datetime.datetime.now(datetime.UTC).isoformat(),
                "platform": f"{platform.machine()}-{platform.system()}",
            }
        ),
        "model-metadata": script.metadata().__getstate__()[0],
    }
    stream = io.BytesIO()
    torch.jit.save(script, stream, _extra_files=members)
    return stream.getvalue()
