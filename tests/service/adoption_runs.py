"""`focalpoint adopt` as a test runs it, and the JSON files that MMDeploy writes beside its ONNX files."""

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from service.cli import build_command_line
from tests.third_party_graphs import IMAGENET_MEAN, IMAGENET_STD

NAMED = ("--name", "colours", "--licence", "Apache-2.0")


def adopt(file: Path, *flags: str) -> tuple[Path, str]:
    """The bundle of a file, and what the command printed."""
    skeleton = file.parent / "colours.toml"
    skeleton.write_text('names = ["red", "green", "blue"]\nedges = [["red", "green"]]\n', encoding="utf-8")
    bundle = file.parent / "bundle"
    arguments = ["adopt", str(file), *NAMED, "--skeleton", str(skeleton), "--output", str(bundle), *flags]
    return bundle, CliRunner().invoke(build_command_line(), arguments, catch_exceptions=False).stdout


def write_pipeline(
    folder: Path,
    component: str,
    parameters: dict[str, Any],
    *,
    size: tuple[int, int] = (192, 256),
    to_rgb: bool = True,
    udp: bool = False,
    output_map: dict[str, str] | None = None,
) -> None:
    """The three files of `--dump-info`, members and order as of MMDeploy 1.3.1."""
    affine = {"type": "TopDownAffine", "image_size": list(size)} | ({"use_udp": True} if udp else {})
    transforms = [
        {"type": "LoadImageFromFile"},
        {"type": "TopDownGetBboxCenterScale", "padding": 1.25, "image_size": list(size)},
        affine,
        {"type": "Normalize", "mean": list(IMAGENET_MEAN), "std": list(IMAGENET_STD), "to_rgb": to_rgb},
        {"type": "ImageToTensor", "keys": ["img"]},
        {"type": "Collect", "keys": ["img"], "meta_keys": ["img_shape", "center", "scale"]},
    ]
    names = {"input": ["prep_output"], "output": ["infer_output"], "input_map": {"img": "input"}}
    net = {"name": "topdownposeestimator", "type": "Task", "module": "Net", **names}
    tasks = [
        {"type": "Task", "module": "Transform", "name": "Preprocess", "transforms": transforms},
        net | ({"output_map": output_map} if output_map else {}),
        {"type": "Task", "module": "mmpose", "name": "postprocess", "component": component, "params": parameters},
    ]
    codebase = {"task": "PoseDetection", "codebase": "mmpose", "version": "1.3.1", "config": "configs/td-hm_3k.py"}
    files = {
        "pipeline": {"pipeline": {"input": ["img"], "output": ["post_output"], "tasks": tasks}},
        "deploy": {"version": "1.3.1", "task": "PoseDetector", "models": [{"net": "end2end.onnx"}], "customs": []},
        "detail": {"version": "1.3.1", "codebase": codebase, "onnx_config": {"input_shape": list(size)}},
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in files.items():
        (folder / f"{name}.json").write_text(json.dumps(values, indent=4), encoding="utf-8")


MSRA = {
    "type": "MSRAHeatmap",
    "input_size": [192, 256],
    "heatmap_size": [48, 64],
    "sigma": 2,
    "post_process": "default",
}
UDP = {"type": "UDPHeatmap", "input_size": [192, 256], "heatmap_size": [48, 64], "sigma": 2, "use_udp": True}
SIMCC = {
    "type": "SimCCLabel",
    "input_size": [192, 256],
    "sigma": [4.9, 5.66],
    "simcc_split_ratio": 2.0,
    "normalize": False,
    "use_dark": False,
}
HEATMAP_DECODER = "TopdownHeatmapSimpleHeadDecode"
