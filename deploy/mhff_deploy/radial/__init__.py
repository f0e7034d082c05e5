"""Radial functions of a network and their tables, which programs and networks share.

`networks` holds the radial networks, `tables` makes and reads splines of them, `choice` finds out
how fine these must be, `inputs` are tables as a program takes them, and `structures` are those on
which lowered networks and programs are compared with the eager model.
"""
