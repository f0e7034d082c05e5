"""Kernels in C++, specialised for the shapes of one model and compiled when a model is compiled."""
