"""The model card of a bundle, written from its manifest."""

from collections.abc import Mapping, Sequence
from typing import Any

from model_export.export_network import Parity
from model_export.metrics.figures import value_text
from service.contract.bundle_manifest import BundleManifest

_NO_VERSIONS = {"commit", "command", "epochs_done"}


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


def trained_origin(manifest: BundleManifest, export_command: str) -> str:
    """The card's section on a run of this project; the commands are those that were given."""
    training = manifest.training
    recipe = training["recipe"]
    optimisation = recipe["optimisation"]
    afl = "with Adversarial Focal Loss" if training["adversarial_focal_loss"] else "without Adversarial Focal Loss"
    commands = dict.fromkeys([*(start["command"] for start in training["versions"]), export_command])
    listed = "\n".join(f"    {command}" for command in commands)
    return f"""## Training

{training["data"]}

Trained {afl}: {optimisation["epochs"]} epochs, batches of {optimisation["batch_size"]}, seed {recipe["seed"]}.
The weights are the moving average at the last epoch, however it compared with others. Whatever of the recipe was chosen
by its results on the validation split makes the figures below look better than on new pictures. The whole recipe stands
in `manifest.json` under `training.recipe`:

{listed}

{_versions(training["versions"])}"""


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

{_versions(manifest.training["versions"])}"""


def _versions(starts: Sequence[Mapping[str, Any]]) -> str:
    """One line where all starts were made with the same; else one for each change, as the numbers may follow it."""
    pieces: list[tuple[Mapping[str, Any], str]] = []
    for start in starts:
        of_this = ", ".join(f"{name} {found}" for name, found in start.items() if name not in _NO_VERSIONS)
        if not pieces or (start["commit"], of_this) != (pieces[-1][0]["commit"], pieces[-1][1]):
            pieces.append((start, of_this))
    if len(pieces) == 1:
        return f"Versions: {pieces[0][1]}."
    lines = [f"- after {start['epochs_done']} epochs: {of_this}, commit {start['commit']}" for start, of_this in pieces]
    return "\n".join(["The run was not made in one piece:", "", *lines])
