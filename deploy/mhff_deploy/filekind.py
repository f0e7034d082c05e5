"""Artefacts as a kind of file, which the core opens, describes and compiles models to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from mhff.capabilities import Capabilities
from mhff.evaluator import Evaluator
from mhff.filekinds import Description, SourceFile
from mhff.model.network import Network
from mhff.modelfile import Model
from mhff.options import CompileOptions
from mhff_deploy.artefact.content import is_artefact, read_manifest


class Artefacts:
    """Implements `mhff.filekinds.FileKind` and `mhff.filekinds.Compiler`."""

    name = "artefacts of mhff compile"

    def recognises(self, content: bytes) -> bool:
        """See `FileKind.recognises`."""
        return is_artefact(content)

    def capabilities(self, file: SourceFile) -> Capabilities:
        """See `FileKind.capabilities`."""
        return read_manifest(file.content, file.name).capabilities

    def describe(self, file: SourceFile) -> Description:
        """See `FileKind.describe`."""
        from mhff_deploy.artefact.describe import describe_artefact

        return describe_artefact(file)

    def open(self, file: SourceFile, options: CompileOptions) -> Evaluator:
        """See `FileKind.open`."""
        from mhff_deploy.artefact.runtime import open_artefact

        return open_artefact(file, options)

    def find(self, model: Model, options: CompileOptions, used: Sequence[str]) -> Path | None:
        """See `Compiler.find`."""
        from mhff_deploy.compiling.cache import find_program

        return find_program(model, options, used)

    def compile(
        self,
        model: Model,
        options: CompileOptions,
        used: Sequence[str],
        say: Callable[[str], None],
    ) -> Path:
        """See `Compiler.compile`."""
        from mhff_deploy.compiling.cache import compiled

        return compiled(model, options, used, say)

    def twice_differentiable(
        self, model: Model, used: Sequence[str], say: Callable[[str], None]
    ) -> Network:
        """See `Compiler.twice_differentiable`."""
        from mhff_deploy.compiling.second import twice_differentiable

        return twice_differentiable(model, used, say)


ARTEFACTS = Artefacts()
