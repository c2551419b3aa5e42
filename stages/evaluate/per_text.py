"""What each text adds to a metric: values whose mean over the texts is the metric.

So one interval serves every metric (`stages.evaluate.uncertainty`). labels are (n_texts,) int from
0 on, every class among them; classes, what is predicted, are (n_repeats, n_texts). All functions
return (n_repeats, n_texts) float64.
"""

import numpy as np
from scipy import stats


def accuracy(labels: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Give 1 to a text whose class is right, and 0 to others."""
    return (classes == labels).astype(np.float64)


def balanced_accuracy(labels: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Spread the mean of the classes' shares of right texts over the texts.

    What a text adds is by how much it is above or below its class, weighed so that every class
    counts as much.
    """
    right, weights = classes == labels, class_weights(labels)
    shares = [right[:, labels == label].mean(axis=1) for label in range(len(weights))]
    of_class = np.stack(shares, axis=1)
    mean = of_class.mean(axis=1, keepdims=True)
    return mean + (right - of_class[:, labels]) * weights[labels]


def macro_f1(labels: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Spread the mean F1 of the classes over the texts, to first order.

    F1 of a class is mean(N) / mean(D), where N counts a text twice that is of the class and
    predicted so, and D once for each of the two. A ratio of means varies as the mean of
    (N - F1 D) / mean(D) does (Cochran, Sampling Techniques, 1977, 2.11).
    """
    values = np.zeros(classes.shape)
    n_classes = labels.max() + 1
    for label in range(n_classes):
        actual, predicted = labels == label, classes == label
        doubled, either = 2.0 * (actual & predicted), actual + predicted.astype(np.float64)
        mean = either.mean(axis=1, keepdims=True)
        f1 = doubled.mean(axis=1, keepdims=True) / mean
        values += f1 + (doubled - f1 * either) / mean
    return values / n_classes


def roc_auc(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Spread the area under the ROC curve over the texts: one class against the rest, averaged.

    probabilities are (n_repeats, n_texts) of label 1, or (n_repeats, n_texts, n_classes).
    """
    if probabilities.ndim == 2:
        return placements(labels == 1, probabilities)
    areas = (placements(labels == k, probabilities[..., k]) for k in range(probabilities.shape[2]))
    return np.mean([*areas], axis=0)


def placements(positive: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Spread the area under the ROC curve over the texts by how each is placed among the others.

    A positive text is placed by the share of the negative ones that it stands above, a negative
    text by the share of the positive ones below which it stands; half where they are level.
    DeLong, DeLong and Clarke-Pearson, "Comparing the areas under two or more correlated receiver
    operating characteristic curves", Biometrics 44 (1988), 837-845: the variance of the area is
    that of the placements of each side, over the number of its texts.

    positive (n_texts,) bool, scores (n_repeats, n_texts).
    """
    place = np.empty(scores.shape)
    ranks = stats.rankdata(scores, axis=1)
    for side in (positive, ~positive):
        among_its_own = stats.rankdata(scores[:, side], axis=1)
        place[:, side] = (ranks[:, side] - among_its_own) / np.count_nonzero(~side)
    place[:, ~positive] = 1 - place[:, ~positive]
    area = place[:, positive].mean(axis=1, keepdims=True)
    share = np.where(positive, positive.mean(), 1 - positive.mean())
    return area + (place - area) / share


def class_weights(labels: np.ndarray) -> np.ndarray:
    """Give each class the weight of a text of it where all classes count as much, (n_classes,)."""
    counts = np.bincount(labels)
    return len(labels) / (len(counts) * counts)
