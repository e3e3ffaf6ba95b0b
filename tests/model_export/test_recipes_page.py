"""`docs/recipes.md` has every section and key that a recipe may hold, and no other."""

import inspect
import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from model_export.adversarial_focal_section import AdversarialFocal
from model_export.augmentation_sections import ClassicalAugmentation, RobustAugmentation
from model_export.base_losses import BASE_LOSSES
from model_export.metrics.settings import (
    EpeSettings,
    Evaluation,
    GroupDistance,
    KeypointDistance,
    NmeSettings,
    OksSettings,
    PckhSettings,
    PckSettings,
    RadialErrorSettings,
    SampleLength,
)
from model_export.networks import NETWORKS
from model_export.optimisation import Drops, OneCycle, Optimisation
from model_export.recipe import (
    AnnotatedData,
    Bundle,
    Codec,
    Input,
    Network,
    Recipe,
    SyntheticData,
)
from service.contract.bundle_manifest import Keypoints, Licence

PAGE = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")
KEY_COLUMN = re.compile(r"^\| (`[^|]*`) \|", re.MULTILINE)


def keys_of(*sections: type[BaseModel]) -> set[str]:
    return {name for section in sections for name in section.model_fields}


METRICS = (NmeSettings, PckSettings, PckhSettings, EpeSettings, RadialErrorSettings, OksSettings)
NORMALISERS = (KeypointDistance, GroupDistance, SampleLength)
SECTIONS = {
    "data": keys_of(AnnotatedData, SyntheticData),
    "input": keys_of(Input),
    "keypoints": keys_of(Keypoints),
    "network": keys_of(Network).union(*(inspect.signature(network).parameters for network in NETWORKS.values()))
    - {"keypoint_count"},
    "codec": keys_of(Codec),
    "base_losses": set(BASE_LOSSES),
    "adversarial_focal": keys_of(AdversarialFocal) | {"form"},
    "augmentation": keys_of(RobustAugmentation, ClassicalAugmentation),
    "optimisation": keys_of(Optimisation, OneCycle, Drops) - {"schedule"},
    "evaluation": keys_of(Evaluation, *METRICS, *NORMALISERS),
    "bundle": keys_of(Bundle, Licence) - {"licence"},
}


def documented_keys(heading: str) -> set[str]:
    """What stands in the first column of the tables below a heading."""
    _, found, rest = PAGE.partition(f"\n## {heading}\n")
    assert found, f"docs/recipes.md has no heading {heading}"
    return {key for cell in KEY_COLUMN.findall(rest.partition("\n## ")[0]) for key in re.findall(r"`([^`]+)`", cell)}


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_of_a_section_is_documented(section: str) -> None:
    assert documented_keys(f"`[{section}]`") == SECTIONS[section]


def test_every_section_is_documented() -> None:
    assert documented_keys("Top level") | SECTIONS.keys() == keys_of(Recipe)
