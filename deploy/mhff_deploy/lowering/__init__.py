"""Lowering: a network of some elements becomes an equivalent one that runs faster.

`pruning` drops elements; `network` and `layer` are the lowered network; `linear` and `mixing` fold
its linear maps; `accuracy` chooses how fine the tables of its radial functions are; `reference`
computes in plain torch what kernels compute. `mhff_deploy.compiling.lower` puts it all together.
"""
