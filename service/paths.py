"""The addresses that more than one part of the service must know."""

from typing import Final

KEYPOINTS_PATH: Final = "/v1/keypoints"
BATCH_PATH: Final = "/v1/keypoints:batch"
REPOSITORY_PATH: Final = "/v1/repository"
PROBE_PATHS: Final = frozenset({"/livez", "/readyz"})
OPERATION_PATHS: Final = PROBE_PATHS | {"/metrics"}
