"""Probabilities from logits, the same on every processor."""

import numpy as np
from scipy.special import expit


def of_logits(logits: np.ndarray) -> np.ndarray:
    """Give the probability of label 1 from its logit, (n,), or of each label, (n, n_labels).

    Returns float64 of the same shape: the logistic function, or the softmax of each row.
    """
    logits = logits.astype(np.float64)
    if logits.ndim == 1:
        return expit(logits)
    # exp(x) is expit(x) / expit(-x); NumPy's own depends on the processor in its last bit.
    below = logits - logits.max(axis=1, keepdims=True)
    powers = expit(below) / expit(-below)
    return powers / powers.sum(axis=1, keepdims=True)
