"""Validation during training: the averaged weights on crops around the boxes of the labels."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import nn

from model_export.data.dataset import CropSample
from model_export.heatmap_decoding import read_maps, to_crop
from model_export.image_normalisation import normalise
from model_export.keypoint_metrics import failure_rate, normalised_mean_errors, point_errors
from model_export.recipe import Recipe


def validate(network: nn.Module, batches: Iterable[CropSample], recipe: Recipe, device: torch.device) -> dict[str, Any]:
    """NME, failure rate and mean error in crop pixels, keys starting with `validation_`."""
    network.eval()
    codec, found, true, visible = recipe.keypoint_codec, [], [], []
    with torch.inference_mode():
        for batch in batches:
            prediction = read_maps(network(normalise(batch["crop"].to(device))), codec)
            found.append(to_crop(prediction.points_in_heatmap_NK2, codec).cpu().numpy())
            true.append(batch["points_in_crop"].numpy())
            visible.append(batch["visible"].numpy())
    points, labels, seen = np.concatenate(found), np.concatenate(true), np.concatenate(visible)
    settings = recipe.evaluation
    errors = normalised_mean_errors(points, labels, seen, settings.normaliser)
    return {
        "validation_nme": float(errors.mean()),
        "validation_failure_rate": failure_rate(errors, settings.failure_threshold),
        "validation_error_in_crop": float(np.nanmean(point_errors(points, labels, seen))),
    }
