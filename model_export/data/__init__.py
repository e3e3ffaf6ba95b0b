"""One reader per annotation format; each gives `KeypointSample`s."""
