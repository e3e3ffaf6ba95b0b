"""What a bundle is, in words, and whether it is whole."""
