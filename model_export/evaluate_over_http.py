"""Evaluation of a running service, which is given whole pictures."""

import http.client
import json
import urllib.error
import urllib.request
from typing import Any

import cv2
import numpy as np

from model_export.errors import RunError
from model_export.evaluate import Estimate, Found
from service.contract.bundle_manifest import MODEL_FILE, BundleManifest
from service.contract.crop_transform import Box, ImageHW3

NO_BOXES = "whole pictures, no boxes, through HTTP"
_REQUEST_TIMEOUT_SECONDS = 60
_GRAPH_HEADER = "X-Model-Sha256"


def estimate_over_http(url: str, manifest: BundleManifest) -> Estimate:
    """Keypoints from a running service that is given the whole picture and no box.

    The estimate raises `RunError` where there is no such service, or it serves another bundle than the manifest's: both
    arms of a recipe have one name and version, so the graphs' hashes are compared too.
    """
    expected = {"name": manifest.name, "version": manifest.version}
    expected_graph = manifest.sha256[MODEL_FILE]

    def estimate(image: ImageHW3, _box: Box) -> Found:
        answer, graph = _post(f"{url.rstrip('/')}/v1/keypoints", _as_png(image))
        if not isinstance(answer, dict) or answer.get("model") != expected:
            found = answer.get("model") if isinstance(answer, dict) else answer
            raise RunError(f"{url} serves another model: expected {expected}, found {found}")
        if graph != expected_graph:
            raise RunError(
                f"{url} serves another graph of the same name: expected SHA-256 {expected_graph}, found {graph}"
            )
        rows = np.array([[point["x"], point["y"], point["score"]] for point in answer["instances"][0]["keypoints"]])
        return Found(rows[:, :2], rows[:, 2], float(image.shape[0] * image.shape[1]))

    return estimate


def _as_png(image: ImageHW3) -> bytes:
    encoded, png = cv2.imencode(".png", image[..., ::-1])
    assert encoded
    return png.tobytes()


def _post(url: str, png: bytes) -> tuple[Any, str | None]:
    """The answer, and the SHA-256 of the graph that gave it; None where the service does not say it."""
    try:
        request = urllib.request.Request(url, png, {"Content-Type": "image/png"})
        with urllib.request.urlopen(request, timeout=_REQUEST_TIMEOUT_SECONDS) as response:
            return json.load(response), response.headers.get(_GRAPH_HEADER)
    except urllib.error.HTTPError as error:
        raise RunError(f"{url} answered {error.code}: {error.read(500).decode(errors='replace')}") from error
    except urllib.error.URLError as error:
        raise RunError(f"{url} cannot be reached: {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        raise RunError(f"{url} broke off: {error}") from error
    except ValueError as error:  # an address that is none, or an answer that is not JSON
        raise RunError(f"{url} is not a running service: {error}") from error
