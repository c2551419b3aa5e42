"""What `train` writes of each epoch, and how it is read again."""

import pandas as pd

from stages.shared.artifacts import training
from stages.shared.files import reading

MEASURES = ("loss", "accuracy", "val_loss", "val_accuracy")


def read(variant: str) -> pd.DataFrame:
    """Read the history of a variant: repeat, epoch, and a column for each of MEASURES."""
    with reading(training(variant)):
        return pd.read_csv(training(variant))[["repeat", "epoch", *MEASURES]]
