"""The arms of Table 4, and the controls that the paper lacks."""

from typing import Literal, NamedTuple

Control = Literal["none", "shuffled", "loss_ranked", "uniform"]


class ClassificationArm(NamedTuple):
    """How an arm weighs its samples.

    Attributes:
        gamma: of focal loss; 0 is cross entropy.
        adversarial: whether the difficulty multiplies each sample's loss.
        control: what takes the place of the difficulties, see `weight_controls`.
    """

    gamma: float = 0.0
    adversarial: bool = False
    control: Control = "none"


ARMS: dict[str, ClassificationArm] = {
    "cross entropy": ClassificationArm(),
    "focal loss": ClassificationArm(gamma=2.0),
    "AFL": ClassificationArm(adversarial=True),
    "AFL and focal loss": ClassificationArm(gamma=2.0, adversarial=True),
    "control: AFL's scores shuffled": ClassificationArm(adversarial=True, control="shuffled"),
    "control: AFL's scores in the order of the loss": ClassificationArm(adversarial=True, control="loss_ranked"),
    "control: AFL's mean score for all": ClassificationArm(adversarial=True, control="uniform"),
}
