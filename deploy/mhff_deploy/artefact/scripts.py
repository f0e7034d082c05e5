"""A program in TorchScript as one module, for engines that run it without Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch

from mhff.graph import PROGRAM_INPUTS
from mhff_deploy.artefact.runtime import ArtefactEvaluator

WITHOUT_GHOSTS = """
graph(%features, %plan):
    return (%features)
"""
EXCHANGE = """
graph(%features, %plan):
    %all = mhff::{}(%features, %plan)
    return (%all)
"""
"""The exchange of ghosts, which Python does; here there are none."""


def script_without_python(
    evaluator: ArtefactEvaluator, species: torch.Tensor
) -> torch.fx.GraphModule:
    """The program of an evaluator with its tables for these species, called with `PROGRAM_INPUTS`.

    It knows no ghosts. The evaluator cannot exchange ghosts afterwards, because it has the same
    script. Raises what `ProgramTables.of` raises.
    """
    tables = () if evaluator.tables is None else evaluator.tables.of(species)
    script = cast(torch.jit.ScriptModule, evaluator.program)
    for name in ("exchange_ghosts", "exchange_ghosts_adjoint"):
        torch._C._jit_pass_custom_pattern_based_rewrite_graph(
            EXCHANGE.format(name), WITHOUT_GHOSTS, script.graph
        )
    return _with_tables(script, tables)


def _with_tables(
    script: torch.jit.ScriptModule, tables: Sequence[torch.Tensor]
) -> torch.fx.GraphModule:
    """A module that calls a program with its inputs and these tables, which it holds."""
    graph = torch.fx.Graph()
    inputs = [graph.placeholder(field.name) for field in PROGRAM_INPUTS]
    named = {f"table_{index}": table for index, table in enumerate(tables)}
    given = [graph.get_attr(name) for name in named]
    graph.output(graph.call_module("script", (*inputs, *given)))
    return torch.fx.GraphModule({"script": script, **named}, graph)
