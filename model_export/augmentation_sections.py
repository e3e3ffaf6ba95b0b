"""The section `[augmentation]` of a recipe: which random changes the training crops undergo."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from model_export.recipe_section import Positive, Section, Share

KeypointIndex = Annotated[int, Field(ge=0)]


def _least_first(factors: tuple[float, float]) -> tuple[float, float]:
    if factors[0] > factors[1]:
        raise ValueError("expected the least factor and then the greatest")
    return factors


class RobustAugmentation(Section):
    """Tight and wide views, other light, blur and hidden parts, see `augmentation.py`.

    Shares are probabilities per sample.
    """

    name: Literal["robust"]
    scale: Annotated[tuple[Positive, Positive], AfterValidator(_least_first)]
    shift: Annotated[float, Field(ge=0)]
    rotation_degrees: Annotated[float, Field(ge=0)]
    flip_share: Share
    wide_share: Share
    wide_scale: Annotated[float, Field(ge=1)]
    photometric_share: Share
    blur_share: Share
    occlusion_share: Share


class ClassicalAugmentation(Section):
    """That of Simple Baselines and HRNet: scale, rotation, mirroring and half bodies, see `classical_augmentation.py`.

    Attributes:
        scale_factor: the view grows by a normal factor of mean 1 and this deviation, clipped to one deviation.
        rotation_factor: degrees; a normal turn of this deviation, clipped to two deviations.
        rotation_share, flip_share, half_body_share: probabilities per sample.
        half_body_above: a half body is cut only of samples with more visible keypoints than this.
        half_body_padding: factor by which the box around half a body is grown, in place of `input.padding`.
        upper_body: the keypoints of the upper half; all others are the lower.
    """

    name: Literal["classical"]
    scale_factor: Annotated[float, Field(ge=0, lt=1)]
    rotation_factor: Annotated[float, Field(ge=0)]
    rotation_share: Share
    flip_share: Share
    half_body_share: Share
    half_body_above: Annotated[int, Field(ge=0)]
    half_body_padding: Positive
    upper_body: tuple[KeypointIndex, ...]

    @model_validator(mode="after")
    def _halves_are_known(self) -> Self:
        if self.half_body_share and not self.upper_body:
            raise ValueError(f"half_body_share is {self.half_body_share:g}, but upper_body names no keypoint")
        return self


Augmentation = RobustAugmentation | ClassicalAugmentation
