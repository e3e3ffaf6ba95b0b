"""Bundles from ONNX files of others: what is read, what is assumed, what is asked."""
