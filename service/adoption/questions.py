"""What is asked where neither flags nor files say it: nothing that decides where keypoints lie is guessed."""

from collections.abc import Iterable
from pathlib import Path

from service.adoption.origins import ORIGINS
from service.errors import InvalidSetting

_QUESTIONS = {
    "kind": f"--kind {'|'.join(ORIGINS)}",
    "size": "--size WIDTHxHEIGHT",
    "colour_order": "--colour-order rgb|bgr",
    "mean": "--mean R,G,B over 0..255 (ImageNet: 123.675,116.28,103.53)",
    "std": "--std R,G,B over 0..255 (ImageNet: 58.395,57.12,57.375)",
    "padding": "--padding, the factor by which training grew its boxes (mostly 1.25)",
    "warp": "--warp half_pixel|top_down|udp",
    "decoding": "--decoding quarter_step|dark|dark_udp|peak|soft_argmax",
    "alignment": "--alignment half_pixel|stride|udp",
    "unit": "--unit pixel|normalized",
    "score_rule": "--score-rule min|mean",
    "output_tensor": "--output-tensor NAME (heatmaps; x and y of SimCC; keypoints and scores), once for each",
    "name": "--name, of the model in addresses",
    "licence": "--licence, the terms of the weights",
    "skeleton": "--skeleton NAME or FILE.toml, the keypoints in the file's order",
    "output": "--output FOLDER",
}


def ask_for(file: Path, missing: Iterable[str]) -> InvalidSetting:
    """One sentence for all that is missing."""
    questions = "; ".join(_QUESTIONS[name] for name in missing)
    return InvalidSetting(f"{file.name} and the files beside it do not say all that is needed: give {questions}")
