"""What MMDeploy writes beside an ONNX file with `--dump-info`: pipeline.json, deploy.json and detail.json.

The members are those of mmdeploy/backend/sdk/export_info.py and codebase/mmpose/deploy/pose_detection.py (0.x and 1.x),
read as its SDK reads them, with one exception: for a codec that says `unbiased` (DARK) MMDeploy writes `post_process:
default` all the same, so that its SDK answers a quarter step where mmpose refines.
"""

from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from service.adoption.facts import Fact, assumed, facts_from
from service.contract.bundle_manifest import describe_problems
from service.contract.model_input import Triple
from service.errors import StartupError

PIPELINE_FILE = "pipeline.json"


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Transform(_Part):
    type: str
    mean: Triple | None = None
    std: Triple | None = None
    to_rgb: bool | None = None
    padding: float | None = None
    image_size: tuple[int, int] | None = None
    use_udp: bool = False


class _Parameters(_Part):
    type: str | None = None  # mmpose 1.x: the codec's name
    post_process: str = "default"
    use_udp: bool = False
    unbiased: bool = False
    sigma: Any = None
    heatmap_type: str = "gaussian"
    target_type: str = "GaussianHeatmap"
    blur_kernel_size: int | None = None
    modulate_kernel: int | None = None
    simcc_split_ratio: float = 2.0
    use_dark: bool = False
    export_postprocess: bool = False


class _Task(_Part):
    module: str = ""
    transforms: list[_Transform] = []
    output_map: dict[str, str] = {}
    component: str = ""
    params: _Parameters = Field(default_factory=_Parameters)


class _Pipeline(_Part):
    tasks: list[_Task]


class _PipelineFile(_Part):
    pipeline: _Pipeline


class MmdeployFacts(NamedTuple):
    """What the files say.

    Attributes:
        output_kind: of `OUTPUT_KINDS`.
        facts: values by name.
        names: the graph's names for outputs -> those of MMDeploy, where the file renames them.
        provenance: versions and the training configuration's name, for people.
    """

    output_kind: str
    facts: dict[str, Fact]
    names: dict[str, str]
    provenance: dict[str, str]


def read_mmdeploy_files(folder: Path) -> MmdeployFacts | None:
    """What the files in a folder say; None where there is no pipeline.json.

    Raises:
        StartupError: a file cannot be read, or describes what cannot be served here.
    """
    path = folder / PIPELINE_FILE
    if not path.exists():
        return None
    tasks = _read(path, _PipelineFile).pipeline.tasks
    transforms = {transform.type: transform for task in tasks for transform in task.transforms}
    decoders = [task for task in tasks if task.component]
    if len(decoders) != 1:
        raise StartupError(f"{path}: expected one task with a component that decodes, found {len(decoders)}")
    output_kind, decoding = _decoding(path, decoders[0])
    names = {graph: sdk for task in tasks for graph, sdk in task.output_map.items()}
    return MmdeployFacts(output_kind, _preparation(transforms) | decoding, names, _provenance(folder))


def _preparation(transforms: dict[str, _Transform]) -> dict[str, Fact]:
    facts: dict[str, Fact] = {}
    if normalise := transforms.get("Normalize"):
        source = f"read from {PIPELINE_FILE}, Normalize"
        order = None if normalise.to_rgb is None else ("rgb" if normalise.to_rgb else "bgr")
        facts |= facts_from(source, {"colour_order": order, "mean": normalise.mean, "std": normalise.std})
    if boxes := transforms.get("TopDownGetBboxCenterScale"):
        source = f"read from {PIPELINE_FILE}, where MMDeploy 1.x writes 1.25 whatever the training had"
        facts |= facts_from(source, {"padding": boxes.padding})
    if affine := transforms.get("TopDownAffine"):
        facts |= facts_from(
            f"read from {PIPELINE_FILE}, TopDownAffine",
            {"size": affine.image_size, "warp": "udp" if affine.use_udp else "top_down"},
        )
    return facts


def _decoding(path: Path, decoder: _Task) -> tuple[str, dict[str, Fact]]:
    """The kind of output and what belongs to it."""
    codec, settings = decoder.params.type or decoder.component, decoder.params
    source = f"read from {PIPELINE_FILE}, {codec}"
    if codec == "SimCCLabel" or decoder.component == "SimCCLabelDecode":
        if settings.export_postprocess:  # the graph has taken the maxima and divided already
            return "coordinates", facts_from(source, {"unit": "pixel"})
        if settings.use_dark:
            raise StartupError(f"{path}: SimCC with use_dark is not decoded here, expected use_dark false")
        return "simcc", facts_from(source, {"split_ratio": settings.simcc_split_ratio})
    if codec == "RegressionLabel":
        return "coordinates", facts_from(source, {"unit": "normalized"})
    combined = settings.heatmap_type == "combined" or settings.target_type.lower() == "combinedtarget"
    if settings.post_process == "megvii" or combined or codec not in _HEATMAP_CODECS:
        raise StartupError(
            f"{path}: expected a codec of {', '.join((*_HEATMAP_CODECS[:2], 'SimCCLabel', 'RegressionLabel'))}, "
            f"found {codec}{' with offset maps' if combined else ''}"
        )
    kernel = settings.blur_kernel_size or settings.modulate_kernel
    sigma = settings.sigma if isinstance(settings.sigma, int | float) else None
    facts = facts_from(source, {"decoding": _refinement(codec, settings), "sigma": sigma, "blur_kernel": kernel})
    return "heatmaps", facts | ({} if kernel else assumed("mmpose's default", blur_kernel=11))


_HEATMAP_CODECS = ("MSRAHeatmap", "UDPHeatmap", "TopdownHeatmapSimpleHeadDecode", "TopdownHeatmapBaseHeadDecode")


def _refinement(codec: str, settings: _Parameters) -> str:
    if codec == "UDPHeatmap" or settings.use_udp:
        return "dark_udp"
    return "dark" if settings.unbiased or settings.post_process == "unbiased" else "quarter_step"


def _provenance(folder: Path) -> dict[str, str]:
    """Versions and the configuration's name; paths of the machine that exported are left out."""
    deploy, detail = _read_json(folder / "deploy.json"), _read_json(folder / "detail.json")
    task = deploy.get("task", "PoseDetector")
    if task != "PoseDetector":
        raise StartupError(f"{folder / 'deploy.json'}: expected the task PoseDetector, found {task!r}")
    codebase = detail.get("codebase", {})
    values = {
        "mmdeploy": deploy.get("version") or detail.get("version"),
        "mmpose": codebase.get("version") if isinstance(codebase, dict) else None,
        "config": Path(str(codebase.get("config") or "")).name if isinstance(codebase, dict) else None,
    }
    return {name: str(value) for name, value in values.items() if value}


def _read(path: Path, kind: type[_PipelineFile]) -> _PipelineFile:
    try:
        return kind.model_validate_json(path.read_bytes())
    except OSError as error:
        raise StartupError(f"{path} cannot be read ({error.strerror})") from error
    except ValidationError as error:
        raise StartupError(f"{path}: {describe_problems(error)}") from error


def _read_json(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        return _OBJECT.validate_json(path.read_bytes())
    except OSError as error:
        raise StartupError(f"{path} cannot be read ({error.strerror})") from error
    except ValidationError as error:
        raise StartupError(f"{path}: {describe_problems(error)}") from error


_OBJECT = TypeAdapter(dict[str, Any])
