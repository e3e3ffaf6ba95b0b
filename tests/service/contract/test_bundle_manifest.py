"""The manifest: read back as written, refused with a reason."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.contract.bundle_manifest import MODEL_FILE, BundleError, BundleManifest, file_sha256
from service.contract.crop_transform import Box, CropTransform
from service.contract.golden_images import GoldenImage, load_golden_images, save_golden_images
from service.contract.keypoint_codec import KeypointCodec


def values() -> dict[str, Any]:
    return {
        "name": "two-points",
        "version": "1.0",
        "description": "two points",
        "keypoints": {"names": ["left", "right"], "skeleton": [[0, 1]], "flip_pairs": [[0, 1]]},
        "input": {"width": 64, "height": 32, "padding": 1.25},
        "output": {"heatmap_width": 16, "heatmap_height": 8, "stride": 4, "sigma": 1.0, "decoding": "peak"},
        "licence": {"name": "Apache-2.0", "summary": "free", "research_only": False},
        "sha256": {},
    }


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    (tmp_path / MODEL_FILE).write_bytes(b"graph")
    manifest = BundleManifest.model_validate(values() | {"sha256": {MODEL_FILE: file_sha256(tmp_path / MODEL_FILE)}})
    manifest.save(tmp_path)
    return tmp_path


def test_a_saved_manifest_is_read_back_equal_and_verifies(bundle: Path) -> None:
    manifest = BundleManifest.load(bundle)
    manifest.verify(bundle)
    assert manifest.keypoints.names == ("left", "right")
    assert manifest.codec.heatmap_width == 16
    assert manifest.crop_transform(Box(0, 0, 64, 32)).scale == pytest.approx(1 / 1.25)
    assert [path.name for path in bundle.iterdir() if "partial" in path.name] == []


def test_a_manifest_that_names_no_convention_has_our_own() -> None:
    manifest = BundleManifest.model_validate(values())
    assert manifest.codec == KeypointCodec(16, 8, 4, 1.0, "peak", "half_pixel", "gaussian", 11)
    assert manifest.input.warp == "half_pixel"


def test_a_manifest_carries_every_choice_of_the_codec_and_the_crop() -> None:
    published = values()
    published["input"] |= {"warp": "udp"}
    published["output"] |= {"alignment": "udp", "encoding": "cut_gaussian", "decoding": "dark_udp", "blur_kernel": 17}
    manifest = BundleManifest.model_validate(published)
    assert manifest.codec == KeypointCodec(16, 8, 4, 1.0, "dark_udp", "udp", "cut_gaussian", 17)
    box = Box(3, 4, 50, 20)
    assert np.array_equal(manifest.crop_transform(box).matrix, CropTransform.around(box, 64, 32, 1.25, "udp").matrix)
    assert BundleManifest.model_validate_json(manifest.model_dump_json()) == manifest


def test_a_whole_picture_fills_its_crop_as_far_as_its_shape_allows(bundle: Path) -> None:
    transform = BundleManifest.load(bundle).whole_image_transform(np.zeros((320, 640, 3), np.uint8))
    corners = np.array([[-0.5, -0.5], [639.5, 319.5]])
    assert np.allclose(transform.to_crop(corners), [[-0.5, -0.5], [63.5, 31.5]])


def test_a_changed_file_is_named(bundle: Path) -> None:
    (bundle / MODEL_FILE).write_bytes(b"another graph")
    with pytest.raises(BundleError, match=r"model\.onnx: SHA-256 is .*, the manifest says"):
        BundleManifest.load(bundle).verify(bundle)


def test_a_missing_file_is_named(bundle: Path) -> None:
    (bundle / MODEL_FILE).unlink()
    with pytest.raises(BundleError, match=r"model\.onnx: named in the manifest but cannot be read"):
        BundleManifest.load(bundle).verify(bundle)


def test_a_folder_without_manifest_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"is not a bundle: manifest\.json cannot be read"):
        BundleManifest.load(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"surprise": 1}, "unknown key surprise"),
        ({"name": "Two Points"}, "name: String should match"),
        ({"keypoints": {"names": ["a", "a"]}}, "keypoint names must differ"),
        ({"keypoints": {"names": ["a"], "skeleton": [[0, 1]]}}, "beyond the 1 there are"),
        ({"keypoints": {"names": ["a", "b", "c"], "flip_pairs": [[0, 1], [1, 2]]}}, "stands in two flip pairs"),
        ({"keypoints": {"names": ["a"], "oks_sigmas": [0.1, 0.2]}}, "2 OKS sigmas for 1 keypoints"),
        (
            {"input": {"width": 0, "height": 32, "padding": 1.25}},
            r"input\.width: Input should be greater than 0, found 0",
        ),
        (
            {"input": {"width": 64, "height": 64, "padding": 1.25}},
            "heatmaps times stride are 64 x 32 pixels, expected the crop's 64 x 64",
        ),
        (
            {"output": {**values()["output"], "blur_kernel": 10}},
            r"output\.blur_kernel: expected an odd number of cells",
        ),
        (
            {"output": {**values()["output"], "alignment": "corner"}},
            r"output\.alignment: .*'half_pixel', 'stride' or 'udp'",
        ),
        ({"input": {**values()["input"], "warp": "corner"}}, r"input\.warp: .*'half_pixel', 'top_down' or 'udp'"),
    ],
)
def test_an_impossible_value_is_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps(values() | change), encoding="utf-8")
    with pytest.raises(BundleError, match=message):
        BundleManifest.load(tmp_path)


def golden() -> GoldenImage:
    return GoldenImage(
        image="a.png", source="drawn", box=(0, 0, 9, 9), points_in_image=((1.0, 2.0), (3.0, 4.0)), tolerance=0.5
    )


def test_golden_images_are_read_back_equal(tmp_path: Path) -> None:
    assert load_golden_images(tmp_path) == ()
    save_golden_images(tmp_path, (golden(),))
    assert load_golden_images(tmp_path) == (golden(),)


def test_a_point_beyond_the_tolerance_fails_the_golden_check() -> None:
    golden().check(np.array([[1.0, 2.4], [3.0, 4.0]]))
    with pytest.raises(BundleError, match=r"a keypoint lies 0\.6 px from where it was"):
        golden().check(np.array([[1.0, 2.6], [3.0, 4.0]]))
    with pytest.raises(BundleError, match="a keypoint lies nan px"):
        golden().check(np.array([[1.0, np.nan], [3.0, 4.0]]))
    with pytest.raises(BundleError, match=r"expected points of shape \(2, 2\), found \(1, 2\)"):
        golden().check(np.zeros((1, 2)))


def test_a_golden_list_that_is_no_list_is_refused(tmp_path: Path) -> None:
    (tmp_path / "golden").mkdir()
    (tmp_path / "golden" / "golden.json").write_text("{}", encoding="utf-8")
    with pytest.raises(BundleError, match=r"golden\.json"):
        load_golden_images(tmp_path)
