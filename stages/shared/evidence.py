"""What keeps a comparison from being an answer: each doubt is a sentence without its full stop.

A gap between two variants can be measured whatever they were given. It answers the question only
if pretrained vectors met the text, if both variants tell texts apart, and if enough texts outside
the most frequent label were tested on: of two labels, enough of each.
"""

REFERENCE = "learned"  # the variant that every other one is compared with
CONFIDENCE = 0.95  # of every interval
LEAST_TOKENS = 0.2  # of the train split's tokens that must have a pretrained vector
FEW_TOKENS = 0.8  # below which a warning is due: English text has 0.95 and more in GloVe
LEAST_TEXTS = 30  # in the test split, outside the most frequent label
LEAST_OTHERS = 0.1  # so many predictions for each text outside the most frequent class, at least
# The share of the train split in each draw, above which draws are too much alike to be taken for
# draws of other texts: without a correction a 95 % interval over five draws may cover the gap in
# 91 % of studies at 0.2, in 83 % at 0.4 and in 64 % at 0.8 (docs/metrics.md).
MUCH_OVERLAP = 0.2


def doubts(
    variant: str, vectors: str | None, evaluation: dict, coverage: dict, data: dict
) -> list[str]:
    """List what keeps the gap between a variant and the reference from being an answer.

    `vectors` is the file of vectors in which the variant looks words up, None if it does not;
    `coverage` has an entry for each file; evaluation and data as in metrics/.
    """
    found = []
    covered = coverage.get(vectors)
    if covered and covered["share_of_tokens"] < LEAST_TOKENS:
        found.append(
            f"only {100 * covered['share_of_tokens']:.1f} % of the train split's words have a"
            f" vector in {vectors}"
        )
    found += [
        f"{name} gives nearly every text the same label"
        for name in dict.fromkeys((REFERENCE, variant))
        if says_one_class(evaluation[name]["largest_share"], data["test"])
    ]
    others = sum(data["test"]) - max(data["test"])
    if others < LEAST_TEXTS:
        counts = zip(data["labels"], data["test"], strict=True)
        few = [f"{count} labelled {label}" for label, count in counts if count < LEAST_TEXTS]
        of, only = "each label", " and ".join(few)
        if len(data["labels"]) > 2:
            of, only = "all labels but the most frequent together", str(others)
        found.append(f"a verdict takes {LEAST_TEXTS} test texts of {of}, and there are only {only}")
    return found


def says_one_class(largest_share: float, counts: list[int]) -> bool:
    """Tell whether a variant gives nearly every text the same label.

    `largest_share` is the share of the label that it predicts most, `counts` are the texts of each
    class. Its other predictions must be at least LEAST_OTHERS times as many as the texts outside
    the most frequent class.
    """
    return 1 - largest_share < LEAST_OTHERS * (1 - max(counts) / sum(counts))


def overlap_warning(samples: int, n_train: int) -> str | None:
    """Say what intervals speak of where each draw holds much of a train split; None: it does not.

    samples are drawn from n_train texts.
    """
    overlap = samples / n_train
    if overlap <= MUCH_OVERLAP:
        return None
    if overlap >= 1:
        return (
            f"every draw holds all {n_train:,} texts of the train split. So the intervals speak of"
            " these texts with other seeds and other test texts, and not of other texts to train"
            " on."
        )
    return (
        f"each draw holds {100 * overlap:.0f} % of the train split, so the draws share many texts."
        " The intervals are widened for that, and rather too wide than too narrow."
    )
