"""The model card of a bundle, written from its manifest."""

from model_export.export_network import Parity
from model_export.metrics.figures import value_text
from service.contract.bundle_manifest import BundleManifest


def model_card(manifest: BundleManifest, parity: Parity, origin: str) -> str:
    """The card as Markdown; `origin` says where the weights come from, see `trained_origin` and `imported_origin`."""
    keypoints, size = manifest.keypoints, manifest.input
    figures = "\n".join(
        f"| {figure.metric} | {value_text(figure.value, figure.unit)} | {figure.convention} | {figure.box_protocol} "
        f"| {figure.data} |"
        for figure in manifest.accuracy
    )
    table = f"""| metric | value | convention | boxes | data |
|---|---|---|---|---|
{figures}"""
    accuracy = table if manifest.accuracy else "The accuracy of these weights in this bundle was not measured."
    return f"""# {manifest.name} {manifest.version}

{manifest.description}

**Licence:** {manifest.licence.name}. {manifest.licence.summary}
**Intended use:** {manifest.intended_use}

## What goes in and comes out

uint8 RGB crops of {size.width} x {size.height} pixels around a box grown by the factor {size.padding:g};
{len(keypoints.names)} keypoints in crop pixels with a score each (the clipped peak of the heatmap). Names, skeleton and
flip pairs stand in `manifest.json`.

{origin}

## Measured

{accuracy}

onnxruntime and torch differ by at most {parity.heatmaps:.1e} in a heatmap cell and {parity.points_in_crop:.1e} crop
pixels in a keypoint ({parity.tie_share:.1%} of the keypoints left out as ties).
"""


def trained_origin(manifest: BundleManifest) -> str:
    """The card's section on a run of this project."""
    training = manifest.training
    recipe = training["recipe"]
    optimisation = recipe["optimisation"]
    afl = "with Adversarial Focal Loss" if training["adversarial_focal_loss"] else "without Adversarial Focal Loss"
    return f"""## Training

{training["data"]}

Trained {afl}: {optimisation["epochs"]} epochs, batches of {optimisation["batch_size"]}, seed {recipe["seed"]}.
The weights are the moving average at the last epoch (no epoch was chosen by its validation error). The whole recipe
stands in `manifest.json` under `training.recipe`:

    focalpoint train model_export/recipes/{manifest.name}.toml
    focalpoint export runs/{manifest.name} --output models/{manifest.name}

Versions: {_versions(manifest)}."""


def imported_origin(manifest: BundleManifest) -> str:
    """The card's section on weights of another project."""
    imported = manifest.training["imported"]
    options = ", ".join(f"{key} {value}" for key, value in imported["options"].items())
    network = f"`{imported['network']}` ({options})" if options else f"`{imported['network']}`"
    return f"""## Weights of another project

{manifest.training["data"]}

Imported from the checkpoint `{imported["file"]}` (SHA-256 {imported["sha256"]}) into {network}; all of its entries
fitted. What the file cannot tell was said by whoever imported it: it takes the channels in the order
{imported["channel_order"].upper()}, and its conventions are those of `{imported["codec"]}` (docs/geometry.md). They
were not checked against labelled pictures.

Versions: {_versions(manifest)}."""


def _versions(manifest: BundleManifest) -> str:
    return ", ".join(f"{name} {found}" for name, found in manifest.training["versions"].items() if name != "commit")
