"""The kernels of a lowered network: compiled C++ on CPUs, Triton on NVIDIA GPUs."""
