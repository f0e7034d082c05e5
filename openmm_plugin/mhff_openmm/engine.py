"""What mhff offers for OpenMM: `mhff compile --target openmm` makes an artefact that
`add_mhff_force` takes in place of a model.
"""

from mhff_deploy.compiling.targets import Target

TARGET = Target("openmm", ("aoti", "torchscript"))
