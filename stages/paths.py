"""Where everything lies, relative to the project's root, from which every stage runs."""

from pathlib import Path

PARAMS = Path("params.yaml")

DOWNLOADS = Path("data/downloads")
DOWNLOADS_RECORD = Path("data/downloads.json")  # what each URL held when first fetched
REVIEWS = Path("data/raw/reviews.parquet")
VECTORS = Path("data/raw/vectors")
VECTOR_WORDS = VECTORS / "words.txt"
VECTOR_MATRIX = VECTORS / "matrix.npy"

SEQUENCES = Path("data/sequences")
VOCABULARY = SEQUENCES / "vocabulary.parquet"

EMBEDDINGS = Path("data/embeddings")
MODELS = Path("data/models")
PREDICTIONS = Path("data/predictions/test.parquet")

COVERAGE = Path("metrics/coverage.json")
EVALUATION = Path("metrics/evaluation.json")
TRAINING = Path("metrics/training")
HISTORY = Path("metrics/history.csv")
ROC = Path("metrics/roc.csv")
CONFUSION = Path("metrics/confusion.csv")
FIGURES = Path("metrics/figures")


def split(name: str) -> Path:
    """The folder of a split: its padded sequences and its labels."""
    return SEQUENCES / name


def embedding(vectors: str) -> Path:
    """The initial embedding matrix that starts from `vectors`."""
    return EMBEDDINGS / f"{vectors}.npy"


def model(variant: str) -> Path:
    """The folder of a variant's trained weights."""
    return MODELS / variant


def weights(variant: str, repeat: int) -> Path:
    """The trained weights of one repeat of a variant."""
    return model(variant) / f"repeat_{repeat}.weights.h5"


def training(variant: str) -> Path:
    """The history of a variant's training, one row an epoch of a repeat."""
    return TRAINING / f"{variant}.csv"
