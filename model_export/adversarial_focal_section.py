"""The section `[adversarial_focal]` of a recipe: one word, or the decisions that the paper leaves open, one by one."""

from typing import Annotated, Any, Literal

from pydantic import Field

from model_export.errors import RecipeError
from model_export.recipe_section import Decay, Positive, Section, Share

AS_PRINTED: dict[str, Any] = {
    "enabled": True,
    "place": "thresholded_centroid",
    "existence": "prediction",
    "threshold": 0.1,
    "true_side": "labels",
    "acts_per": "sample",
    "score": "as_printed",
    "drift_penalty": 0.0,
    "strength": 1.0,
    "weights": "as_printed",
    "critic_warm_up_epochs": 0,
    "control": "none",
    "gradient_penalty": 10.0,
    "critic_learning_rate": 2e-4,
    "critic_betas": [0.5, 0.999],
}

# What one word stands for; a new form is a line. docs/afl.md says why each is as it is.
FORMS: dict[str, dict[str, Any]] = {
    "none": {**AS_PRINTED, "enabled": False},
    "as_printed": AS_PRINTED,
    "shape": {**AS_PRINTED, "place": "soft_argmax", "existence": "label", "weights": "mean_one"},
}


class AdversarialFocal(Section):
    """Adversarial Focal Loss: Algorithm 2 of the paper, and the decisions that it leaves open.

    A recipe gives all keys, or `form`, one of `FORMS`, and beside it the keys that differ from that form; a recipe that
    has been read holds them all.

    Attributes:
        enabled: without it every difficulty is one (`--no-afl`).
        place: how the topology reads a keypoint's place from a predicted heatmap.
        existence: which keypoints exist for the critic: `label` takes the label's visibility on both sides; with
            `prediction` a predicted keypoint exists where its heatmap responds above `threshold`.
        threshold: response that counts, for `thresholded_centroid` and for existence by prediction.
        true_side: what the critic is to rate above the predictions: the `labels`; `jittered_labels`, moved at random as
            far as predictions err at present; or, of the batch's predictions, the `better_half` above the other one.
        acts_per: whether a difficulty belongs to a sample or to each of its keypoints.
        score: what the sigmoid takes: the critic's quality; `centred` on its running mean; or `standardised`, divided
            by its running spread too.
        drift_penalty: what the critic pays for the square of its true side's quality.
        strength: exponent of the difficulty in the weight.
        weights: `as_printed` takes them as they are; `mean_one` scales those of a batch to mean one.
        critic_warm_up_epochs: the first epochs, in which the critic learns and all weights are one.
        control: what takes the place of the weights, for comparison, see `weight_controls.CONTROLS`.
        gradient_penalty: lambda.
        critic_learning_rate, critic_betas: Adam's.
    """

    enabled: bool
    place: Literal["soft_argmax", "peak", "thresholded_centroid"]
    existence: Literal["label", "prediction"]
    threshold: Share
    true_side: Literal["labels", "jittered_labels", "better_half"]
    acts_per: Literal["sample", "keypoint"]
    score: Literal["as_printed", "centred", "standardised"]
    drift_penalty: Annotated[float, Field(ge=0)]
    strength: Positive
    weights: Literal["as_printed", "mean_one"]
    critic_warm_up_epochs: Annotated[int, Field(ge=0)]
    control: Literal["none", "shuffled", "loss_ranked", "loss_ranked_reversed", "uniform"]
    gradient_penalty: Positive
    critic_learning_rate: Positive
    critic_betas: tuple[Decay, Decay]

    @property
    def whole_batch_key(self) -> str | None:
        """The setting, if there is one, that takes all samples of a batch at once, on one device and in one part."""
        if not self.enabled:
            return None
        if self.control != "none":
            return f"control = {self.control}"
        return "true_side = better_half" if self.true_side == "better_half" else None


def write_out_form(recipe: dict[str, Any], origin: str) -> dict[str, Any]:
    """A recipe as a mapping, the section's `form` replaced by the keys that it stands for; those beside it go first.

    Raises:
        RecipeError: there is no such form; `origin` names the recipe.
    """
    section = recipe.get("adversarial_focal")
    if not isinstance(section, dict) or "form" not in section:
        return recipe
    form = section["form"]
    if form not in FORMS:
        raise RecipeError(f"{origin}: adversarial_focal.form: expected one of {', '.join(FORMS)}, found {form!r}")
    beside = {key: value for key, value in section.items() if key != "form"}
    return {**recipe, "adversarial_focal": FORMS[form] | beside}
