"""The few operators where the time goes, in plain torch, C++ and Triton; see `README.md` here.

The plain torch reference has any number of derivatives and serves training. The same operation as
one operator of `torch.library`, with a hand-derived adjoint, serves inference. Kernels take the
operators' place (`mhff.model.acceleration`).
"""
