"""The few operators where the time goes. Plain torch references here; kernels register beside them."""
