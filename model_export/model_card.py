"""The model card of a bundle, written from its manifest."""

from model_export.export_network import Parity
from model_export.metrics.figures import value_text
from service.contract.bundle_manifest import BundleManifest


def model_card(manifest: BundleManifest, parity: Parity) -> str:
    """The card as Markdown."""
    training, keypoints, size = manifest.training, manifest.keypoints, manifest.input
    recipe = training["recipe"]
    optimisation = recipe["optimisation"]
    afl = "with Adversarial Focal Loss" if training["adversarial_focal_loss"] else "without Adversarial Focal Loss"
    accuracy = "\n".join(
        f"| {figure.metric} | {value_text(figure.value, figure.unit)} | {figure.convention} | {figure.box_protocol} "
        f"| {figure.data} |"
        for figure in manifest.accuracy
    )
    versions = ", ".join(f"{name} {found}" for name, found in training["versions"].items() if name != "commit")
    return f"""# {manifest.name} {manifest.version}

{manifest.description}

**Licence:** {manifest.licence.name}. {manifest.licence.summary}
**Intended use:** {manifest.intended_use}

## What goes in and comes out

uint8 RGB crops of {size.width} x {size.height} pixels around a box grown by the factor {size.padding:g};
{len(keypoints.names)} keypoints in crop pixels with a score each (the clipped peak of the heatmap). Names, skeleton and
flip pairs stand in `manifest.json`.

## Training

{training["data"]}

Trained {afl}: {optimisation["epochs"]} epochs, batches of {optimisation["batch_size"]}, seed {recipe["seed"]}.
The weights are the moving average at the last epoch (no epoch was chosen by its validation error). The whole recipe
stands in `manifest.json` under `training.recipe`:

    focalpoint train model_export/recipes/{manifest.name}.toml
    focalpoint export runs/{manifest.name} --output models/{manifest.name}

Versions: {versions}.

## Measured

| metric | value | convention | boxes | data |
|---|---|---|---|---|
{accuracy}

onnxruntime and torch differ by at most {parity.heatmaps:.1e} in a heatmap cell and {parity.points_in_crop:.1e} crop
pixels in a keypoint ({parity.tie_share:.1%} of the keypoints left out as ties).
"""
