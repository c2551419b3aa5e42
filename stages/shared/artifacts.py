"""Where every artifact lies, relative to the project's root, from which every stage runs."""

from pathlib import Path

PARAMS = Path("params.yaml")

DOWNLOADS = Path("data/downloads")
DOWNLOADS_RECORD = Path("data/downloads.json")  # what each URL held when first fetched
TEXTS = Path("data/raw/texts.parquet")
VECTORS = Path("data/raw/vectors")

SEQUENCES = Path("data/sequences")
VOCABULARY = SEQUENCES / "vocabulary.parquet"
BIGRAMS = SEQUENCES / "bigrams.parquet"
TOKENIZED_WITH = Path("data/tokenized_with.json")

EMBEDDINGS = Path("data/embeddings")
ENCODED = Path("data/encoded")
MODELS = Path("data/models")
TRAINED_ON = Path("data/trained_on")
PREDICTIONS = Path("data/predictions/test.parquet")
REPORT_TABLES = Path("data/report")

COVERAGE = Path("metrics/coverage.json")
DATA = Path("metrics/data.json")
EVALUATION = Path("metrics/evaluation.json")
PLANNING = Path("metrics/planning.json")
SCORES = Path("metrics/scores.csv")
TRAINING = Path("metrics/training")
TUNING = Path("metrics/tuning")
HISTORY = Path("metrics/history.csv")
ROC = Path("metrics/roc.csv")
CONFUSION = Path("metrics/confusion.csv")
FIGURES = Path("metrics/figures")
REPORT = Path("metrics/report.md")
ANSWER = Path("metrics/answer.txt")

# What Keras and matplotlib would keep in the user's home, out of DVC's and Git's sight.
KEPT_BY_KERAS = Path(".dvc/tmp/keras").absolute()
KEPT_BY_MATPLOTLIB = Path(".dvc/tmp/matplotlib").absolute()


def home() -> Path:
    """The project's folder, from where a stage runs: of an experiment, its project's.

    DVC runs queued and --temp experiments in folders of their own, below .dvc/tmp/exps/. Nothing is
    there that Git ignores, and when an experiment ends, whole or killed, all of it is gone.
    """
    here, _, below = Path.cwd().as_posix().partition("/.dvc/tmp/exps/")
    return Path(here) if below else Path()


def downloads() -> Path:
    """The folder of what was downloaded, which all experiments share."""
    return home() / DOWNLOADS


def split(name: str) -> Path:
    """The folder of a split: its padded sequences and its labels."""
    return SEQUENCES / name


def vectors(name: str) -> Path:
    """The folder of a file of vectors: its words and their matrix."""
    return VECTORS / name


def embedding(start: str) -> Path:
    """The matrix of a key of `embed`, which a variant can start from."""
    return EMBEDDINGS / f"{start}.npy"


def model(variant: str) -> Path:
    """The folder of a variant's trained weights."""
    return MODELS / variant


def encoded(key: str) -> Path:
    """The folder where `embed` keeps the vectors of some texts, which all experiments share."""
    return home() / ENCODED / key


def weights(variant: str, repeat: int) -> Path:
    """The trained weights of one repeat of a variant."""
    return model(variant) / f"repeat_{repeat}.weights.h5"


def unfinished(variant: str) -> Path:
    """The folder where an interrupted training of a variant leaves what it has finished."""
    return Path("data") / f"unfinished-{variant}"


def training(variant: str) -> Path:
    """The history of a variant's training, one row an epoch of a repeat."""
    return TRAINING / f"{variant}.csv"


def tuning(variant: str) -> Path:
    """What a variant tried out before it was trained, one row an epoch of a candidate."""
    return TUNING / f"{variant}.csv"


def trained_on(variant: str) -> Path:
    """What trained a variant last: software and processor."""
    return TRAINED_ON / f"{variant}.json"
