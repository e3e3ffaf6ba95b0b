"""Validation by torch: the averaged weights on the samples' boxes; during training by the recipe's first metric."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from model_export.data.dataset import CropSample, ValidationCrops
from model_export.epoch_record import VALIDATION_PREFIX
from model_export.heatmap_decoding import read_maps, to_crop
from model_export.image_normalisation import normalise
from model_export.metrics.coco_truth import image_ids
from model_export.metrics.measuring import INSTANCE_METRICS, measure
from model_export.metrics.predictions import Instance, OksTruth, Predictions, seen_area
from model_export.metrics.recipe_truth import oks_truth
from model_export.metrics.settings import MetricSettings
from model_export.recipe import Recipe


def validate(
    network: nn.Module, batches: Iterable[CropSample], crops: ValidationCrops, recipe: Recipe, device: torch.device
) -> dict[str, Any]:
    """The figures of the recipe's first metric, keys starting with `validation_`; None where one is not finite.

    Args:
        network: gives maps.
        batches: of the crops, in their order.
        crops: where they come from.
        recipe: its codec and metrics.
        device: the network's.
    """
    followed = recipe.evaluation.metrics[:1]
    figures = measure(followed, predict(network, batches, crops, recipe, followed, device))
    return {f"{VALIDATION_PREFIX}{figure.metric}": figure.json_value for figure in figures}


def predict(
    network: nn.Module,
    batches: Iterable[CropSample],
    crops: ValidationCrops,
    recipe: Recipe,
    metrics: Sequence[MetricSettings],
    device: torch.device,
) -> Predictions:
    """What the network finds in each crop, in image pixels, with the truth that the metrics compare it with.

    Args:
        network: gives maps; is left in the mode of evaluation.
        batches: of the crops, in their order.
        crops: where they come from.
        recipe: its codec and data.
        metrics: that are to be measured.
        device: the network's.
    """
    network.eval()
    codec, points, scores = recipe.keypoint_codec, [], []
    with torch.inference_mode():
        for batch in batches:
            prediction = read_maps(network(normalise(batch["crop"].to(device), recipe.input.channel_order)), codec)
            points.append(to_crop(prediction.points_in_heatmap_NK2, codec).cpu().numpy())
            scores.append(prediction.heatmaps_NKhw.amax(dim=(2, 3)).clamp(0, 1).cpu().numpy())
    of_instances = any(metric.kind in INSTANCE_METRICS for metric in metrics)
    truth = oks_truth(recipe, crops.samples) if of_instances else None
    return _in_images(crops, np.concatenate(points), np.concatenate(scores), truth)


def _in_images(
    crops: ValidationCrops,
    points_in_crop_SK2: NDArray[np.float32],
    scores_SK: NDArray[np.float32],
    truth: OksTruth | None,
) -> Predictions:
    transforms = [crops.transform(index) for index in range(len(crops))]
    points = np.stack([one.to_image(found) for one, found in zip(transforms, points_in_crop_SK2, strict=True)])
    instances = [
        Instance(image_id, found, of_points, 1.0, seen_area(transform))
        for image_id, found, of_points, transform in zip(
            image_ids(crops.samples), points, scores_SK, transforms, strict=True
        )
    ]
    return Predictions(crops.samples, points, instances, truth)
