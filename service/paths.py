"""The addresses that more than one part of the service must know."""

from typing import Final

KEYPOINTS_PATH: Final = "/v1/keypoints"
BATCH_PATH: Final = "/v1/keypoints:batch"
REPOSITORY_PATH: Final = "/v1/repository"
PAGE_PATH: Final = "/"
PAGE_FILES_PATH: Final = "/page"
OPEN_INFERENCE_PATH: Final = "/v2"
PROBE_PATHS: Final = frozenset({"/livez", "/readyz", "/v2/health/live", "/v2/health/ready"})
OPERATION_PATHS: Final = PROBE_PATHS | {"/metrics"}


def brings_images(path: str) -> bool:
    """Whether a POST to this address asks for keypoints."""
    if path.startswith(f"{OPEN_INFERENCE_PATH}/models/"):
        return path.endswith("/infer")
    return path in (KEYPOINTS_PATH, BATCH_PATH)
