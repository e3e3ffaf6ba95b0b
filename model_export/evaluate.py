"""Evaluation: a bundle on the labelled pictures of a split, in process or through a running service."""

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from model_export.data.keypoint_sample import KeypointSample
from model_export.errors import RunError
from model_export.keypoint_metrics import failure_rate, mean_offset, normalised_mean_errors, point_errors
from model_export.onnx_inference import OnnxNetwork
from model_export.recipe import Evaluation
from service.contract.bundle_manifest import MODEL_FILE, BundleManifest
from service.contract.crop_transform import ImageHW3

Estimate = Callable[[KeypointSample], NDArray[np.float64]]
LABEL_BOXES = "boxes around the labels"
NO_BOXES = "whole pictures, no boxes, through HTTP"
_REQUEST_TIMEOUT_SECONDS = 60


class Report(NamedTuple):
    """What was measured on how many samples, under which convention. NME and failure rate are shares, not percent."""

    nme: float
    failure_rate: float
    failure_threshold: float
    mean_error_in_image: float
    mean_offset_in_image: tuple[float, float]
    normaliser: str
    box_protocol: str
    samples: int


def estimate_in_process(bundle: Path, manifest: BundleManifest) -> Estimate:
    """Keypoints (K, 2) in image pixels from the bundle's graph, with the box around the labels."""
    network = OnnxNetwork(bundle / MODEL_FILE)

    def estimate(sample: KeypointSample) -> NDArray[np.float64]:
        transform = manifest.crop_transform(sample.box)
        crop = transform.extract(sample.read_image())
        return transform.to_image(network.run(crop[np.newaxis]).points_in_crop_NK2[0])

    return estimate


def estimate_over_http(url: str, manifest: BundleManifest) -> Estimate:
    """Keypoints (K, 2) in image pixels from a running service that is given the whole picture and no box.

    The estimate raises `RunError` where there is no such service, or it serves another bundle than the manifest's.
    """
    expected = {"name": manifest.name, "version": manifest.version}

    def estimate(sample: KeypointSample) -> NDArray[np.float64]:
        body = _as_png(sample.read_image())
        answer = _post(f"{url.rstrip('/')}/v1/keypoints", body)
        if not isinstance(answer, dict) or answer.get("model") != expected:
            found = answer.get("model") if isinstance(answer, dict) else answer
            raise RunError(f"{url} serves another model: expected {expected}, found {found}")
        return np.array([[point["x"], point["y"]] for point in answer["instances"][0]["keypoints"]])

    return estimate


def _as_png(image: ImageHW3) -> bytes:
    encoded, png = cv2.imencode(".png", image[..., ::-1])
    assert encoded
    return png.tobytes()


def _post(url: str, png: bytes) -> Any:
    try:
        request = urllib.request.Request(url, png, {"Content-Type": "image/png"})
        with urllib.request.urlopen(request, timeout=_REQUEST_TIMEOUT_SECONDS) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        raise RunError(f"{url} answered {error.code}: {error.read(500).decode(errors='replace')}") from error
    except urllib.error.URLError as error:
        raise RunError(f"{url} cannot be reached: {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        raise RunError(f"{url} broke off: {error}") from error
    except ValueError as error:  # an address that is none, or an answer that is not JSON
        raise RunError(f"{url} is not a running service: {error}") from error


def evaluate(
    samples: Sequence[KeypointSample],
    estimate: Estimate,
    settings: Evaluation,
    box_protocol: str,
    sample_done: Callable[[int], None],
) -> Report:
    """NME, failure rate and mean error over the samples; `sample_done` is told how many are done."""
    found = []
    for done, sample in enumerate(samples, start=1):
        found.append(estimate(sample))
        sample_done(done)
    true = np.stack([sample.points_in_image for sample in samples])
    visible = np.stack([sample.visible for sample in samples])
    points = np.stack(found)
    errors = normalised_mean_errors(points, true, visible, settings.normaliser)
    return Report(
        nme=float(errors.mean()),
        failure_rate=failure_rate(errors, settings.failure_threshold),
        failure_threshold=settings.failure_threshold,
        mean_error_in_image=float(np.nanmean(point_errors(points, true, visible))),
        mean_offset_in_image=mean_offset(points, true, visible),
        normaliser=settings.normaliser_name,
        box_protocol=box_protocol,
        samples=len(samples),
    )
