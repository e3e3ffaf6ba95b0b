"""Evaluation of a running service, which is given whole pictures."""

from collections.abc import Iterator
from contextlib import contextmanager

from model_export.errors import RunError
from model_export.evaluate import Estimate, Found
from service.client import Client, ClientError
from service.contract.bundle_manifest import MODEL_FILE, BundleManifest
from service.contract.crop_transform import Box, ImageHW3

NO_BOXES = "whole pictures, no boxes, through HTTP"
_DEADLINE_MS = 60_000


@contextmanager
def estimate_over_http(url: str, manifest: BundleManifest) -> Iterator[Estimate]:
    """Keypoints from a running service that is given the whole picture and no box.

    The estimate raises `RunError` where there is no such service, or it serves another bundle than the manifest's: both
    arms of a recipe have one name and version, so the graphs' hashes are compared too.

    Raises:
        RunError: the address is none.
    """
    try:
        client = Client(url, deadline_ms=_DEADLINE_MS)
    except ValueError as error:
        raise RunError(f"--{error}") from error
    expected = {"name": manifest.name, "version": manifest.version}
    expected_graph = manifest.sha256[MODEL_FILE]

    def estimate(image: ImageHW3, _box: Box) -> Found:
        try:
            answer = client.keypoints(image)
        except ClientError as error:
            raise RunError(str(error)) from error
        found = {"name": answer.model, "version": answer.version}
        if found != expected:
            raise RunError(f"{url} serves another model: expected {expected}, found {found}")
        if answer.sha256 != expected_graph:
            raise RunError(
                f"{url} serves another graph of the same name: expected SHA-256 {expected_graph}, "
                f"found {answer.sha256 or 'none'}"
            )
        [instance] = answer.instances
        return Found(instance.keypoints, instance.scores, float(image.shape[0] * image.shape[1]))

    with client:
        yield estimate
