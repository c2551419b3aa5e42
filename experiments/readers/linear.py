"""Probabilities of the labels, by logistic regressions on TF-IDF: python classify.py TEXT ..."""

import json
import sys
from pathlib import Path

import numpy as np
from sequences import sequences

HERE = Path(__file__).parent
LABELS = json.loads((HERE / "labels.json").read_text("utf-8"))
WEIGHTS = np.load(HERE / "weights.npz", allow_pickle=False)
IDF = WEIGHTS["idf"]  # (n_ids,)
# (n_models, n_ids, n_labels) and (n_models, n_labels)
COEFFICIENTS, INTERCEPT = WEIGHTS["coefficients"], WEIGHTS["intercept"]


def probabilities(texts):
    """Give the probability of each label, (n_texts, n_labels): the mean of the models'."""
    rows = []
    for sequence in sequences(texts):
        ids, counts = np.unique(sequence[sequence > 0], return_counts=True)
        weights = (1 + np.log(counts)) * IDF[ids].astype(float)
        weights /= np.linalg.norm(weights) or 1
        logits = weights @ COEFFICIENTS[:, ids] + INTERCEPT
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        rows.append((powers / powers.sum(axis=1, keepdims=True)).mean(axis=0))
    return np.array(rows)


if __name__ == "__main__":
    for text, row in zip(sys.argv[1:], probabilities(sys.argv[1:]), strict=True):
        print(f"{LABELS[row.argmax()]} {row.max():.6f} {text}")
