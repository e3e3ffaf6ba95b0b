"""`focalpoint tune`: settings for a bundle on a machine, by measurement."""
