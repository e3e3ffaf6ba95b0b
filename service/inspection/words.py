"""A manifest's conventions in words: what goes in, what comes out. The formulas are those of docs/geometry.md."""

from service.adoption.facts import shown
from service.contract.bundle_manifest import BundleManifest
from service.contract.crop_transform import Warp
from service.contract.heatmap_decoding import HeatmapDecoding
from service.contract.keypoint_codec import HeatmapAlignment
from service.contract.model_input import CropInput
from service.contract.model_output import CodecOutput, CoordinateOutput, HeatmapOutput, SimccOutput

_WARPS: dict[Warp, str] = {
    "half_pixel": "half_pixel: the grown box's edges fall on the crop's edges",
    "top_down": "top_down, as Simple Baselines, HRNet and mmpose: x + width / 2 of the box falls on W / 2 of the crop",
    "udp": "udp, as UDP and ViTPose: sizes are distances between pixel centres, W - 1 and H - 1",
}
_ALIGNMENTS: dict[HeatmapAlignment, str] = {
    "half_pixel": "crop = (cell + 0.5) x {stride} - 0.5",
    "stride": "crop = cell x {stride}",
    "udp": "crop = cell x (crop size - 1) / (heatmap size - 1)",
}
_DECODINGS: dict[HeatmapDecoding, str] = {
    "soft_argmax": "soft_argmax: the centre of mass of the whole map",
    "peak": "peak: the highest cell, refined by a parabola through the logarithms of its neighbours",
    "quarter_step": "quarter_step: the highest cell, and a quarter of a cell towards its higher neighbours",
    "dark": "dark: the highest cell, and one Newton step on the smoothed map's logarithm",
    "dark_udp": "dark_udp: as dark, with derivatives over one cell, everywhere (mmpose)",
}
_SIMCC_SCORES = {"min": "the lesser of the two peaks (mmpose)", "mean": "the mean of the two peaks (rtmlib)"}


def input_words(crop: CropInput) -> list[str]:
    """What goes in, one sentence a line."""
    batch = "N" if crop.batch == "any" else "1"
    shape = f"[{batch}, {', '.join(map(str, crop.sizes_per_crop))}]"
    one_by_one = "" if crop.batch == "any" else "; crops are run one by one"
    order = "red first" if crop.colour_order == "rgb" else "blue first"
    if crop.mean is None or crop.std is None:
        values = "0 to 255 as they are (normalisation is inside the graph, if there is any)"
    else:
        values = f"(value - mean) / std, mean {shown(crop.mean)}, std {shown(crop.std)}, over 0 to 255"
    reduction = "area averages where it shrinks by two or more" if crop.reduction == "area" else "bilinear only"
    return [
        f"{crop.tensor}: {crop.dtype} {shape}, {crop.layout}{one_by_one}",
        f"colours: {crop.colour_order}, {order}; {values}",
        f"crop: {crop.width} x {crop.height} pixels; the box, grown to that shape, is grown by {crop.padding:g}",
        f"warp: {_WARPS[crop.warp]}; {reduction}, black outside the picture",
    ]


def output_words(manifest: BundleManifest) -> list[str]:
    """What comes out, and how keypoints are read from it, one sentence a line."""
    K = len(manifest.keypoints.names)
    tensors = [
        f"{name}: float32 [N, {', '.join(map(str, shapes[0]))}]" for name, shapes in manifest.output.tensors(K).items()
    ]
    match manifest.output:
        case CodecOutput() as output:
            where = f"inside the graph, from heatmaps of {output.heatmap_width} x {output.heatmap_height} cells"
            return [*tensors, f"decoded {where}", *_codec_words(output)]
        case HeatmapOutput() as output:
            return [*tensors, "decoded after the graph", *_codec_words(output)]
        case SimccOutput() as output:
            return [
                *tensors,
                f"decoded after the graph: crop coordinate = highest bin / {output.split_ratio:g}",
                f"score: {_SIMCC_SCORES[output.score_rule]}, clipped to 0..1",
            ]
        case CoordinateOutput() as output:
            return [*tensors, f"coordinates: {_UNITS[output.unit]}", f"score: {_coordinate_score(output)}"]


_UNITS = {"pixel": "crop pixels", "normalized": "shares of the crop, x times its width and y times its height"}


def _codec_words(output: CodecOutput | HeatmapOutput) -> list[str]:
    kernel = f", blur kernel {output.blur_kernel}" if output.decoding.startswith("dark") else ""
    return [
        f"cell to crop: {output.alignment}, {_ALIGNMENTS[output.alignment].format(stride=output.stride)}",
        f"place: {_DECODINGS[output.decoding]}{kernel}",
        "score: the highest response, clipped to 0..1",
    ]


def _coordinate_score(output: CoordinateOutput) -> str:
    if output.components == 3:
        return "the third number, clipped to 0..1"
    if output.scores_tensor is not None:
        return f"{output.scores_tensor}, clipped to 0..1"
    return "none in the file: every keypoint says 1"
