"""The flip test: maps come back to where they belong, and the shift mends what alignment `stride` breaks."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from model_export.evaluate import estimate_in_process
from model_export.flip_test import FlipTest, answer, flip_back
from model_export.onnx_inference import NetworkOutput
from service.cli import build_command_line
from service.contract.bundle_manifest import BundleManifest
from service.contract.crop_transform import Box
from service.contract.keypoint_codec import HeatmapAlignment, KeypointCodec
from tests.fakes import BOX_AROUND_CENTRES, CENTRES, draw_discs, write_bundle
from tests.model_export.recipes import small_recipe


def test_maps_are_mirrored_exchanged_and_shifted() -> None:
    maps = np.array([[[[1, 2, 3, 4]], [[5, 6, 7, 8]], [[9, 10, 11, 12]]]], np.float32)
    assert flip_back(maps, [(0, 2)], shifted=False).tolist() == [[[[12, 11, 10, 9]], [[8, 7, 6, 5]], [[4, 3, 2, 1]]]]
    # Column 0 stays, and is the neighbour's new value as well.
    assert flip_back(maps, [(0, 2)], shifted=True).tolist() == [[[[12, 12, 11, 10]], [[8, 8, 7, 6]], [[4, 4, 3, 2]]]]
    assert maps[0, 0, 0].tolist() == [1, 2, 3, 4]


class IdealNetwork:
    """Two keypoints: the one on the left of the picture and the one on its right, where there are bright spots.

    Like a network trained with that codec, it answers the codec's own heatmaps of the spots' places.
    """

    def __init__(self, codec: KeypointCodec) -> None:
        self.codec = codec

    def run(self, crops_NHW3: NDArray[np.uint8]) -> NetworkOutput:
        """The spot in the left half is keypoint 0 in a picture, keypoint 1 in its mirror image: red marks it."""
        light = crops_NHW3[..., :2].astype(np.float64)
        mass = light.sum(axis=(1, 2))
        x = np.einsum("nhwk,w->nk", light, np.arange(light.shape[2])) / mass
        y = np.einsum("nhwk,h->nk", light, np.arange(light.shape[1])) / mass
        points = np.stack([x, y], axis=-1)
        # The subject's left (red, keypoint 0) looks like its right in a mirror.
        points = points if x[0, 0] < x[0, 1] else points[:, ::-1]
        heatmaps = self.codec.encode(points)
        return NetworkOutput(points.astype(np.float32), heatmaps.max(axis=(2, 3)), heatmaps)


def spots(first: tuple[int, int], second: tuple[int, int]) -> NDArray[np.uint8]:
    crop = np.zeros((1, 64, 96, 3), np.uint8)
    for channel, (x, y) in enumerate((first, second)):
        crop[0, y, x, channel] = 255
    return crop


@pytest.mark.parametrize(
    ("alignment", "flip_test", "bias_in_cells"),
    [
        ("half_pixel", "plain", 0.0),
        ("udp", "plain", 0.0),
        # Stride 4: a mirrored map lies 0.75 cells left, the average of both 0.375; shifted, 0.25 right and 0.125.
        ("stride", "plain", -0.375),
        ("stride", "shifted", 0.125),
        ("half_pixel", "shifted", 0.5),
    ],
)
def test_each_alignment_wants_its_own_flip_test(
    alignment: HeatmapAlignment, flip_test: FlipTest, bias_in_cells: float
) -> None:
    codec = KeypointCodec(24, 16, 4, 2.0, "soft_argmax", alignment)
    places = np.array([[36.0, 30.0], [60.0, 34.0]])
    crop = spots((36, 30), (60, 34))
    points, scores = answer(IdealNetwork(codec), crop, codec, [(0, 1)], flip_test)
    off = codec.to_heatmap(points[0]) - codec.to_heatmap(places)
    # Measured: 2e-3 cells, the tails that the map cuts off.
    assert np.allclose(off, [bias_in_cells, 0], atol=5e-3)
    assert ((scores > 0.9) & (scores <= 1)).all()


def test_without_a_flip_test_the_graphs_own_points_are_the_answer() -> None:
    codec = KeypointCodec(24, 16, 4, 2.0, "quarter_step")
    points, _ = answer(IdealNetwork(codec), spots((36, 30), (60, 34)), codec, [(0, 1)], "none")
    assert points[0].tolist() == [[36, 30], [60, 34]]


def test_a_bundle_is_asked_for_the_mirrored_crop_too(tmp_path: Path) -> None:
    """The discs are told by colour, which mirroring leaves alone: red and green meet in the middle, blue stays."""
    bundle = write_bundle(tmp_path / "discs")
    manifest = BundleManifest.load(bundle)
    boxed = draw_discs(), Box(*BOX_AROUND_CENTRES)
    found = estimate_in_process(bundle, manifest, "plain")(*boxed).points_in_image_K2
    assert np.abs(found[2] - CENTRES[2]).max() < 0.5
    assert np.abs(found[:2] - CENTRES[:2].mean(axis=0)).max() < 0.5
    assert np.abs(estimate_in_process(bundle, manifest)(*boxed).points_in_image_K2 - CENTRES).max() < 0.5


def test_a_service_answers_no_heatmaps_to_flip(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "discs")
    training = {"recipe": small_recipe().model_dump(mode="json", exclude_none=True)}
    BundleManifest.load(bundle).model_copy(update={"training": training}).save(bundle)
    arguments = ["evaluate", str(bundle), "--url", "http://127.0.0.1:9", "--flip-test", "plain"]
    result = CliRunner().invoke(build_command_line(), arguments)
    assert result.exit_code == 1
    assert "--flip-test does not go with --url" in result.stderr
