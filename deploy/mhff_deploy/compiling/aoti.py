"""AOTInductor: the traced graph as native code in a `.pt2` package.

One package serves any numbers of atoms, ghosts and edges.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import warnings
from pathlib import Path
from typing import Any

import torch
from torch.fx import GraphModule
from torch.fx.experimental import _config as fx_config

from mhff.errors import MHFFError, NoCompilerError
from mhff.options import InstructionSet
from mhff.quiet import quiet
from mhff_deploy.compiling.trace import dynamic_shapes
from mhff_deploy.radial.inputs import TableInputs


def compile_aoti(
    program: GraphModule,
    example: tuple[torch.Tensor, ...],
    isa: InstructionSet = InstructionSet.NATIVE,
    tables: TableInputs | None = None,
) -> bytes:
    """Content of the `.pt2` package of a traced program, without its constants.

    Takes tens of seconds. `example`: inputs of the program, `tables`: those behind them, if it
    takes any. Raises NoCompilerError if there is no C++ compiler, MHFFError if it fails.
    """
    check_compiler()
    _check_instructions(isa)
    every = (*example, *(() if tables is None else tables.tensors))
    options = options_for(isa) | ({} if example[0].device.type == "cpu" else _ON_GPU)
    return _compiled(program, every, dynamic_shapes(tables), options)


def options_for(isa: InstructionSet) -> dict[str, Any]:
    """AOTInductor's options for an instruction set."""
    return _OPTIONS | _INSTRUCTIONS[isa]


def _compiled(
    program: GraphModule,
    example: tuple[torch.Tensor, ...],
    shapes: tuple[dict[int, Any], ...],
    options: dict[str, Any],
) -> bytes:
    """Content of the package of a traced program; raises MHFFError if a compiler fails."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), quiet(*_LOGGERS):
        warnings.simplefilter("ignore")
        with fx_config.patch(use_duck_shape=False):  # type: ignore[attr-defined]  # installed at import
            exported = torch.export.export(program, example, dynamic_shapes=shapes)
        file = Path(folder) / "program.pt2"
        try:
            torch._inductor.aoti_compile_and_package(
                exported, package_path=str(file), inductor_configs=options | _libraries()
            )
        except _COMPILER_ERRORS as error:
            raise MHFFError(
                f"AOTInductor could not compile the program ({_complaint(str(error))}); check the "
                f"C++ compiler, and that the temporary folder {tempfile.gettempdir()} has free "
                "space and no spaces in its path, or choose --form torchscript"
            ) from error
        return file.read_bytes()


def _check_instructions(isa: InstructionSet) -> None:
    """Raise MHFFError if this torch lacks the options for an instruction set."""
    known = options_of_torch()
    if missing := [name for name in _INSTRUCTIONS[isa] if name not in known]:
        raise MHFFError(
            f"torch {torch.__version__} cannot compile for {isa} (it has no option {missing[0]}); "
            "install a newer torch, or compile with --isa native"
        )


def options_of_torch() -> frozenset[str]:
    """Names of AOTInductor's options in the torch that is installed."""
    import torch._inductor  # takes a second, which programs in the cache do without

    return frozenset(torch._inductor.config.get_config_copy())


def _libraries() -> dict[str, Any]:
    """The option that links the C++ library of torch itself, where the compiler finds it.

    Some machines have only a static one for compilers. A program with a C++ library of its own
    beside torch's crashes when it is loaded.
    """
    ask = [torch._inductor.cpp_builder.get_cpp_compiler(), f"-print-file-name={_CPP_LIBRARY}"]
    found = subprocess.run(ask, capture_output=True, text=True, check=False).stdout.strip()
    if not Path(found).is_absolute():
        return {}
    return {"aot_inductor.custom_op_libs": [f":{_CPP_LIBRARY}"]}


def check_compiler() -> None:
    """Raise NoCompilerError if there is no C++ compiler."""
    if shutil.which("g++") is None and shutil.which("clang++") is None:
        raise NoCompilerError(
            "compiling to AOTInductor needs a C++ compiler and found neither g++ nor clang++; "
            "install one (Debian: apt-get install g++), or choose --form torchscript"
        )


def _complaint(output: str) -> str:
    """The line of a compiler's output that says what is wrong."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    first = lines[0] if lines else "it said nothing"
    return next((line for line in lines if "error:" in line), first)[:300]


_OPTIONS: dict[str, Any] = {
    # constants in a package would be copied to wherever `malloc` puts them, and vectors that lie
    # across cache lines cost the kernels a quarter of their speed; given apart, they stay where
    # torch puts tensors
    "aot_inductor.package_constants_in_so": False,
    # as many threads as torch has when the program runs, not when it is compiled
    "cpp.dynamic_threads": True,
    # weights stay out of the code, whatever their size or value, so that models can share it
    "always_keep_tensor_constants": True,
    "joint_graph_constant_folding": False,
    # to precompile torch's headers takes longer than the few files that include them
    "aot_inductor.precompile_headers": False,
    # the kernels' compiler knows all instruction sets that torch would try, one after another
    "cpp.vec_isa_ok": True,
}
_V3: dict[str, Any] = {"cpp.march": "x86-64-v3", "cpp.simdlen": 256}
_INSTRUCTIONS: dict[InstructionSet, dict[str, Any]] = {
    InstructionSet.NATIVE: {},
    InstructionSet.PORTABLE: _V3,
    InstructionSet.X86_64_V3: _V3,
}
_CPP_LIBRARY = "libstdc++.so.6"
_COMPILER_ERRORS = (RuntimeError, OSError, subprocess.SubprocessError)
"""Exceptions of torch's compiler and of the C++ compiler."""
_ON_GPU: dict[str, Any] = {
    # otherwise timings decide whether matrix products are padded, differently in each run
    "shape_padding": False,
    # no loop runs on the CPU; torch would compile and run a program for each instruction set that
    # the CPU may have, which takes up to a minute
    "cpp.vec_isa_ok": False,
}
_LOGGERS = ("torch._inductor", "torch.export", "torch.fx")
"""Loggers of the compiler, whose notes are not for users."""
