"""The keypoint microservice. This file holds the project's one version and imports nothing."""

__version__ = "0.1.0"
