"""The target of `mhff compile --target openmm`: an artefact as it is, which `add_mhff_force` takes
in place of a model.
"""

from mhff_deploy.compiling.targets import Target

OPENMM = Target("openmm", ("aoti", "torchscript"))
