"""How well an order of the samples finds those whose labels are wrong."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

FloatArray = NDArray[np.float64]
HARDEST_SHARE = 0.1


class Finding(NamedTuple):
    """What the hardest samples of an order hold.

    Attributes:
        looked_at: the hardest tenth.
        found: wrong labels among them.
        wrong: wrong labels in all.
        area: under the receiver operating characteristic: how often a wrong label ranks above a right one; 0.5:
            chance.
    """

    looked_at: int
    found: int
    wrong: int
    area: float

    @property
    def found_share(self) -> float:
        """Of the wrong labels."""
        return self.found / self.wrong


def find_wrong_labels(hardness_S: FloatArray, wrong_S: NDArray[np.bool_]) -> Finding:
    """Look at the hardest tenth; samples of equal hardness stand in no order, and those without one (NaN) are left out.

    The area is that of the Mann-Whitney statistic, ties counting half.
    """
    known = np.isfinite(hardness_S)
    hardness, wrong = hardness_S[known], wrong_S[known]
    looked_at = round(HARDEST_SHARE * len(hardness))
    # A stable sort would give ties the order of the file.
    order = np.lexsort((np.random.default_rng(0).permutation(len(hardness)), -hardness))
    ranks = stats.rankdata(hardness)
    right_count, wrong_count = int((~wrong).sum()), int(wrong.sum())
    above = ranks[wrong].sum() - wrong_count * (wrong_count + 1) / 2
    area = float(above / (right_count * wrong_count)) if right_count and wrong_count else float("nan")
    return Finding(looked_at, int(wrong[order[:looked_at]].sum()), wrong_count, area)
