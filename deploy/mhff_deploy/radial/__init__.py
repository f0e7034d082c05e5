"""Radial functions of a network and their tables, which programs and networks share.

`networks` holds the radial networks and what they become, `tables` makes and reads splines,
`structures` are those on which lowered networks and programs are compared with the eager model.
"""
