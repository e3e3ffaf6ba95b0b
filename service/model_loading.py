"""From a bundle folder to an engine that may serve: verified, warm, and still answering as it did at export."""

import logging
from pathlib import Path

import numpy as np

from service.contract.bundle_manifest import MODEL_FILE, BundleError
from service.contract.crop_transform import Box
from service.contract.golden_images import GOLDEN_FOLDER, GoldenImage, load_golden_images
from service.cuda_options import DEFAULT_CUDA, CudaOptions
from service.engine import KeypointEngine
from service.errors import RequestError
from service.image_decoding import decode_image
from service.onnx_engine import OnnxEngine
from service.settings import Provider

_GOLDEN_MAX_PIXELS = 50_000_000

_logger = logging.getLogger(__name__)


def load_model(bundle: Path, provider: Provider, intra_op_threads: int, cuda: CudaOptions = DEFAULT_CUDA) -> OnnxEngine:
    """The engine of a bundle, after its golden images gave the keypoints they should.

    Raises:
        BundleError: the bundle is not whole, or answers otherwise than at export.
        StartupError: onnxruntime is not there, or does not run on the provider.
    """
    engine = OnnxEngine(bundle, provider, intra_op_threads, cuda)
    checked = check_golden_images(bundle, engine)
    manifest = engine.manifest
    _logger.info(
        "model %s %s, sha256 %s, on %s; %d golden images agree",
        manifest.name,
        manifest.version,
        manifest.sha256[MODEL_FILE][:12],
        provider,
        checked,
    )
    level = logging.WARNING if manifest.licence.research_only else logging.INFO
    _logger.log(level, "licence of the weights: %s. %s", manifest.licence.name, manifest.licence.summary)
    return engine


def check_golden_images(bundle: Path, engine: KeypointEngine) -> int:
    """Run every golden image through decoding, crop, engine and back-transform; returns how many there are.

    Raises:
        BundleError: a picture cannot be read, or a keypoint lies further off than its tolerance.
    """
    golden_images = load_golden_images(bundle)
    for golden in golden_images:
        check_golden_image(bundle, golden, engine)
    return len(golden_images)


def check_golden_image(bundle: Path, golden: GoldenImage, engine: KeypointEngine) -> float:
    """Run one golden image; returns how far the worst keypoint lies from where it should, in its picture's pixels.

    Raises:
        BundleError: as `check_golden_images`.
    """
    path = bundle / GOLDEN_FOLDER / golden.image
    try:
        image = decode_image(path.read_bytes(), _GOLDEN_MAX_PIXELS)
        transform = engine.manifest.crop_transform(Box(*golden.box))
    except (OSError, RequestError, ValueError) as error:
        raise BundleError(f"{path}: this golden image cannot be used ({error})") from error
    output = engine.run(np.asarray(transform.extract(image))[None])
    return golden.check(transform.to_image(output.points_in_crop_NK2[0]))
