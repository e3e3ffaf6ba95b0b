"""A finished run measured by all metrics of its recipe, as a training validates; kept in the run folder."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import DataLoader

from model_export.box_protocols import training_boxes
from model_export.comparison.differences import MeasuredRun
from model_export.comparison.sample_sums import SampleSums, sample_sums
from model_export.data.dataset import ValidationCrops
from model_export.data.keypoint_sample import KeypointSample
from model_export.data.loading import loaded
from model_export.data.splits import validation_samples
from model_export.errors import RunError
from model_export.finished_run import averaged_network, finished_state
from model_export.metrics.figures import Figure
from model_export.metrics.measuring import measure
from model_export.run_folder import RunFolder, installed_versions
from model_export.validation import predict

MEASURED_FILE = "measured.json"
_BATCH = 64


class Measurement(NamedTuple):
    """What a run reached, with which boxes, and what it took.

    Attributes:
        run: figures, and what they are made of.
        box_protocol: of the boxes that the crops were cut around.
        samples: how many were measured.
        training_seconds: of all epochs, validation left out.
        steps: of the optimiser.
        versions: of the start and each resume of the training, devices included.
    """

    run: MeasuredRun
    box_protocol: str
    samples: int
    training_seconds: float
    steps: int
    versions: list[dict[str, Any]]


def measured(folder: RunFolder) -> Measurement:
    """The measurement of a finished run: the kept one if these very versions made it, else a new one, which is kept.

    Raises:
        TrainingInputError: the run is not finished or cannot be read, or its data is not there.
    """
    path = folder.path / MEASURED_FILE
    if path.exists():
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["measured_by"] == installed_versions() and kept["checkpoint_ns"] == _written_ns(folder):
            return _from_json(kept)
    measurement = _measure(folder)
    values = _as_json(measurement) | {"measured_by": installed_versions(), "checkpoint_ns": _written_ns(folder)}
    partial = Path(f"{path}.partial")
    partial.write_text(json.dumps(values) + "\n", encoding="utf-8")
    partial.replace(path)
    return measurement


def _measure(folder: RunFolder) -> Measurement:
    recipe = folder.recipe()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = averaged_network(recipe, finished_state(folder, recipe))
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    samples, metrics = validation_samples(recipe), recipe.evaluation.metrics
    crops = ValidationCrops(samples, recipe.input)
    predictions = predict(network, loaded(DataLoader(crops, _BATCH)), crops, recipe, metrics, device)
    records = folder.read_metrics()
    if not all("steps" in record for record in records):
        raise RunError(f"{folder.metrics} does not say how many steps its epochs took: expected a run of this version")
    return Measurement(
        run=MeasuredRun(measure(metrics, predictions), sample_sums(metrics, predictions), _digest(samples)),
        box_protocol=training_boxes(samples).protocol,
        samples=len(samples),
        training_seconds=sum(record["seconds"] for record in records),
        steps=sum(record["steps"] for record in records),
        versions=folder.versions(),
    )


def _digest(samples: Sequence[KeypointSample]) -> str:
    """Of labels and boxes: two splits of the same pictures with other labels or boxes are not the same."""
    digest = hashlib.sha256()
    for sample in samples:
        digest.update(np.where(sample.visible[:, None], sample.points_in_image, np.nan).tobytes())
        digest.update(repr(sample.annotated_box).encode())
    return digest.hexdigest()


def _written_ns(folder: RunFolder) -> int:
    return folder.checkpoint.stat().st_mtime_ns


def _as_json(measurement: Measurement) -> dict[str, Any]:
    figures, sums, split = measurement.run
    sums_as_lists = {name: [values.tolist() for values in pair] for name, pair in sums.items()}
    return measurement._asdict() | {
        "run": {"figures": [figure._asdict() for figure in figures], "sums": sums_as_lists, "split": split}
    }


def _from_json(values: dict[str, Any]) -> Measurement:
    run = values["run"]
    sums = {name: SampleSums(*(np.array(part) for part in pair)) for name, pair in run["sums"].items()}
    figures = tuple(Figure(**figure) for figure in run["figures"])
    fields = {name: values[name] for name in Measurement._fields}
    return Measurement(**fields | {"run": MeasuredRun(figures, sums, run["split"])})
