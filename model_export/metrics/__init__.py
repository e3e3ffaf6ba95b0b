"""Metrics as functions on NumPy arrays; docs/metrics.md has their formulas and rival conventions."""
