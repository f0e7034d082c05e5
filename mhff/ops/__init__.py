"""The few operators where the time goes.

Each has a plain torch reference that can be differentiated any number of times, which training
uses, and stands in `torch.library` as one operator with a hand-derived adjoint, which inference
uses (`mhff.model.acceleration`). Kernels take the operators' place.
"""
