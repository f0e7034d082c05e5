"""The artefacts that `mhff compile` makes for no particular engine."""

from mhff.engines import Engine, Target
from mhff.options import Form

AOTI = Engine("aoti", Target((Form.AOTI,)))
TORCHSCRIPT = Engine("torchscript", Target((Form.TORCHSCRIPT,)))
