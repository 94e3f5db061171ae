"""Kernels: one class each with all that a kernel must know, and the list of them in `registry`."""
