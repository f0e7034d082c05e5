"""Lowering: a network of some elements becomes an equivalent one that runs faster.

`pruning` drops elements; `network` and `layer` are the lowered network; `linear` and `mixing` fold
its linear maps; `radial` and `tables` replace its radial networks by splines; `accuracy` chooses
how fine these are, on the structures of `structures`; `reference` computes in plain torch what
kernels compute. `mhff_deploy.compiling.lower` puts it all together.
"""
