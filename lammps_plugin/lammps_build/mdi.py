"""The MDI library for LAMMPS, compiled with the environment's MPI.

Its sources are in the Python package `pymdi`, whose own library is compiled without MPI.
"""

from __future__ import annotations

from pathlib import Path

from .environment import Environment, run_step

SOURCES = ("mdi", "mdi_global", "mdi_general", "mdi_mpi", "mdi_tcp", "mdi_test", "mdi_lib")
PYTHON_PLUGINS = "mdi_plug_py"
DEFINES = ("-D_MDI_PLUGIN_SUPPORT=1", "-DMDI_WINDOWS=0")
CONFIG = """\
set(mdi_INCLUDE_DIR "{package}")
set(mdi_LIBRARY "{library}" ${{CMAKE_DL_LIBS}})
"""


def compile_mdi(package: Path, environment: Environment, folder: Path) -> dict[str, str]:
    """Compile a static library in `folder`; return the settings of LAMMPS' cmake that find it."""
    folder.mkdir()
    headers = [package, environment.prefix / "include", environment.headers]
    sources = [package / f"{name}.c" for name in (*SOURCES, PYTHON_PLUGINS)]
    advice = "install another version of pymdi"
    include = [f"-I{path}" for path in headers]
    run_step(
        ["cc", "-O2", "-fPIC", "-w", "-c", *DEFINES, *include, *sources],
        "compiling the MDI library",
        advice,
        folder,
    )
    library = folder / "libmdi.a"
    objects = [f"{path.stem}.o" for path in sources]
    run_step(["ar", "rcs", library, *objects], "collecting the MDI library", advice, folder)
    (folder / "mdiConfig.cmake").write_text(CONFIG.format(package=package, library=library))
    return {"DOWNLOAD_MDI": "OFF", "mdi_DIR": str(folder)}
