"""`focalpoint import-checkpoint`: a checkpoint of another project as a bundle."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from model_export.bundle_writing import check_replaceable, write_bundle
from model_export.data.keypoint_sample import ImageFile
from model_export.data.synthetic import draw_samples
from model_export.errors import RecipeError
from model_export.export_network import DecodedNetwork, Parity
from model_export.golden_pictures import GoldenPicture, read_golden_list
from model_export.import_settings import ImportSettings, describe_options
from model_export.model_card import imported_origin
from model_export.networks import build_network
from model_export.networks.map_size import map_size
from model_export.published_weights import load_published_weights
from model_export.run_folder import installed_versions
from model_export.skeleton import load_skeleton
from service.contract.bundle_manifest import (
    BundleManifest,
    Keypoints,
    Licence,
    file_sha256,
)
from service.contract.crop_transform import Box
from service.contract.keypoint_codec import DEFAULT_BLUR_KERNEL, KeypointCodec
from service.contract.model_input import CropInput
from service.contract.model_output import CodecOutput

_PARITY_CROPS = 8
_PARITY_SEED = 11


def import_checkpoint(
    checkpoint: Path, bundle: Path, settings: ImportSettings, golden_list: Path | None
) -> tuple[BundleManifest, Parity]:
    """Write a bundle from a checkpoint, its graph compared with torch on drawn pictures and the golden ones.

    Raises:
        TrainingInputError: the checkpoint cannot be read or does not fit, a setting is wrong, or the graph differs from
            torch; no bundle is left.
    """
    check_replaceable(bundle)
    pictures = read_golden_list(golden_list) if golden_list else ()
    keypoints = load_skeleton(settings.skeleton, Path())
    licence_text = _licence_text(settings.licence_file)
    width, height = settings.input
    maps = map_size(settings.network, len(keypoints.names), settings.options, width, height)
    convention = settings.convention
    codec = KeypointCodec(
        maps.width,
        maps.height,
        maps.stride,
        settings.sigma,
        convention.decoding,
        alignment=convention.alignment,
        encoding=convention.encoding,
        blur_kernel=settings.blur_kernel or DEFAULT_BLUR_KERNEL,
    )
    network = build_network(settings.network, len(keypoints.names), settings.options)
    load_published_weights(network, checkpoint)
    manifest = _manifest(checkpoint, settings, keypoints, codec)
    return write_bundle(
        bundle,
        DecodedNetwork(network, codec, settings.channel_order),
        manifest,
        parity_crops_NHW3=_crops(manifest, pictures),
        measure=lambda _folder, _manifest: (),
        pictures=pictures,
        licence_text=licence_text,
        origin=imported_origin(manifest),
    )


def _licence_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"--licence-file: {path} cannot be read: {error}") from error


def _manifest(checkpoint: Path, settings: ImportSettings, keypoints: Keypoints, codec: KeypointCodec) -> BundleManifest:
    width, height = settings.input
    try:
        return BundleManifest(
            name=settings.name,
            version=settings.version,
            description=f"{len(keypoints.names)} keypoints by {settings.network}, weights of another project.",
            intended_use="What the licence and the source of the weights allow.",
            keypoints=keypoints,
            input=CropInput(width=width, height=height, padding=settings.padding, warp=settings.convention.warp),
            output=CodecOutput.of(codec),
            licence=Licence(name=settings.licence, summary="See LICENSE.", research_only=settings.research_only),
            training={
                "data": settings.source,
                "imported": {
                    "file": checkpoint.name,
                    "sha256": file_sha256(checkpoint),
                    "network": settings.network,
                    "options": settings.options,
                    "channel_order": settings.channel_order,
                    "codec": settings.codec,
                },
                "versions": [installed_versions()],
            },
            sha256={},
        )
    except ValidationError as error:
        raise RecipeError(describe_options(error)) from error


def _crops(manifest: BundleManifest, pictures: tuple[GoldenPicture, ...]) -> NDArray[np.uint8]:
    """Crops of the golden pictures and of drawn faces, eight of them at least."""
    drawn = draw_samples(_PARITY_CROPS, _PARITY_SEED)
    seen = [(sample.read_image(), sample.box) for sample in drawn]
    seen += [(ImageFile(picture.path)(), Box(*picture.box)) for picture in pictures]
    return np.stack([manifest.crop_transform(box).extract(image) for image, box in seen])
