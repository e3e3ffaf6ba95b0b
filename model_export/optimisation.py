"""The section `[optimisation]` of a recipe: batches, optimiser, learning rate, precision, epochs."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from model_export.recipe_section import Count, Decay, Positive, Section, Share

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]


class OneCycle(Section):
    """The learning rate rises for `warm_up_share` of the steps and falls to nothing (one cycle); then comes settling.

    The last `settling_epochs` of the run come after the cycle: a constant rate, and no mirrored crops. Mirroring
    teaches a network that labels have no side; where they have one (labels that lie a little to the right of what they
    mark, say), it answers the mean of both sides until it settles on the labels as they are.
    """

    name: Literal["one_cycle"]
    warm_up_share: Share
    settling_epochs: Annotated[int, Field(ge=0)]
    settling_learning_rate: Positive


class Drops(Section):
    """A constant learning rate that is multiplied by `drop_factor` after each of the epochs `drop_epochs`."""

    name: Literal["drops"]
    drop_epochs: tuple[Count, ...]
    drop_factor: Annotated[float, Field(gt=0, lt=1)]


class Optimisation(Section):
    """How a network is trained; the weights that are evaluated and exported are their moving average.

    Attributes:
        epochs: passes over the training samples, settling included.
        batch_size: samples per step of the optimiser, over all devices together.
        accumulation: parts of a device's share of the batch that go through the network one after the other.
        gradient_clip: greatest norm of the gradient; 0 for any.
        average_decay: of the moving average, per step; 0 for the weights themselves.
        synchronise_batch_norm: whether batch norm takes its statistics over all devices or over its own samples.
    """

    epochs: Count
    batch_size: Count
    accumulation: Count
    optimiser: Literal["adamw", "adam"]
    learning_rate: Positive
    weight_decay: Annotated[float, Field(ge=0)]
    gradient_clip: Annotated[float, Field(ge=0)]
    average_decay: Decay
    precision: Precision
    synchronise_batch_norm: bool
    loader_workers: Annotated[int, Field(ge=0)]
    validate_every: Count
    schedule: Annotated[OneCycle | Drops, Field(discriminator="name")]

    @property
    def mirrored_epochs(self) -> int:
        """Epochs with mirrored crops, before settling."""
        return self.epochs - (self.schedule.settling_epochs if isinstance(self.schedule, OneCycle) else 0)

    @model_validator(mode="after")
    def _there_is_a_cycle(self) -> Self:
        if self.mirrored_epochs < 1:
            settling = self.epochs - self.mirrored_epochs
            raise ValueError(f"schedule.settling_epochs is {settling}, expected fewer than epochs, {self.epochs}")
        return self
