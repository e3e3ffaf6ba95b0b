"""Bundles whose network computes in fewer bits: int8 for CPUs, float16 for GPUs."""
