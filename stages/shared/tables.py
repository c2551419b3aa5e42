"""The tables between `evaluate` and `report`: CSV that holds any text, and gives it back.

Each is described where it is made, in `stages.evaluate`. `confusion`, which has all labels, is
there for the reader alone. A column of TEXT is never read as numbers
or as missing, whatever words it holds.
"""

import csv

import pandas as pd

from stages.shared.artifacts import REPORT_TABLES
from stages.shared.files import reading, whole

TEXT = ("variant", "matrix", "word", "neighbours", "before", "after", "kind", "text", "class")
COLUMNS = {
    "pictured": ["variant", "matrix", "word", "label", "x", "y"],
    "neighbours": ["variant", "matrix", "word", "neighbours"],
    "moved": ["variant", "word", "distance", "before", "after"],
    "classes": ["variant", "class", "texts", "precision", "recall", "f1"],
    "calibration": ["variant", "repeat", "predicted", "right"],
    "lengths": ["variant", "words_from", "words_to", "texts", "accuracy"],
    "disagreements": ["variant", "kind", "row", "label", "learned", "other", "text"],
}
MAY_LACK = ("pictured", "neighbours", "moved", "disagreements")


def write(tables: dict[str, pd.DataFrame]) -> None:
    """Write tables that are not empty, a file each."""
    with whole(REPORT_TABLES) as folder:
        folder.mkdir()
        for name, table in tables.items():
            if len(table):
                table.to_csv(
                    folder / f"{name}.csv", index=False, lineterminator="\n",
                    quoting=csv.QUOTE_NONNUMERIC,
                )  # fmt: skip


def read() -> dict[str, pd.DataFrame]:
    """Read the tables that there are, by their name, each with its COLUMNS."""
    tables = {}
    for name, columns in COLUMNS.items():
        path = REPORT_TABLES / f"{name}.csv"
        if path.exists() or name not in MAY_LACK:
            with reading(path):
                # The C engine ends a text at a NUL, which a word of the user's may hold. A word
                # of a language without spaces may be a whole text.
                csv.field_size_limit(2**31 - 1)
                text = dict.fromkeys(TEXT, str)
                table = pd.read_csv(path, engine="python", keep_default_na=False, dtype=text)
                tables[name] = table[columns]
    return tables
