"""Lowering: a trained model becomes an equivalent network that runs faster.

`lower.lower` decides what a model becomes and builds it. `network` is the lowered network; `linear`
and `mixing` fold its linear maps; `radial` and `tables` replace its radial networks by splines;
`accuracy` chooses how fine they are, on the structures of `structures`.
"""
