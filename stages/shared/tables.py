"""The tables between `evaluate` and `report`: CSV that holds any text, and gives it back.

Each is described where it is made, in `stages.evaluate`. A column of TEXT is never read as numbers
or as missing, whatever words it holds.
"""

import csv

import pandas as pd

from stages.shared.artifacts import REPORT_TABLES
from stages.shared.files import reading, whole

TEXT = ("variant", "matrix", "word", "neighbours", "before", "after", "kind", "text")


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
    """Read all tables that there are, by their name."""
    tables = {}
    with reading(REPORT_TABLES):
        for path in sorted(REPORT_TABLES.iterdir()):
            # The C engine ends a text at a NUL, which a word of the user's may hold.
            tables[path.stem] = pd.read_csv(
                path, engine="python", keep_default_na=False, dtype=dict.fromkeys(TEXT, str)
            )
    return tables
