"""Cross entropy and focal loss, unreduced. N samples, C classes."""

import torch
from torch.nn import functional


def classification_loss(logits_NC: torch.Tensor, classes_N: torch.Tensor, gamma: float) -> torch.Tensor:
    """Focal loss of each sample (N,), Eq. 3 of the paper: -(1 - p_t)^gamma log(p_t); cross entropy where gamma is 0.

    p_t is the softmax probability of the true class; the gradient flows through both factors, as in Lin et al. 2017.
    """
    log_p_N = functional.log_softmax(logits_NC, dim=1).gather(1, classes_N.unsqueeze(1)).squeeze(1)
    return -((1 - log_p_N.exp()) ** gamma) * log_p_N if gamma else -log_p_N
