"""Label texts of a user's own by the trained models: what `python -m stages.predict TEXT` does."""

import csv
import json
import os
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from stages.predict import labeller, rows
from stages.predict.labeller import Labelled
from stages.shared import params
from stages.shared.errors import InputError, command_line
from stages.shared.text import count_of

DIGITS = 6  # of a probability
STANDARD_INPUT = "-"


class NoPandas:
    """Tells whoever imports pandas that it is not there."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name=name)


def without_pandas() -> None:
    """Let Arrow do without pandas: it looks for it once, and the import takes half a second."""
    sys.meta_path.insert(0, NoPandas)
    try:
        pa.array([])
    finally:
        sys.meta_path.remove(NoPandas)


def predict_own_texts(description: str) -> None:
    """Label the texts that the command line names, and write what came out."""
    parser = command_line(description)
    parser.add_argument("texts", nargs="*", metavar="TEXT")
    parser.add_argument("--file", help="a table, or - for standard input, one text a line")
    parser.add_argument("--variant", help="whose models; default: the most accurate one's")
    parser.add_argument("--repeat", type=int, help="of one repeat; default: the mean of all")
    parser.add_argument("--json", action="store_true", help="JSON Lines, with all probabilities")
    arguments = parser.parse_args()
    without_pandas()
    sys.stdout.reconfigure(encoding="utf-8")  # whatever the locale says
    texts = texts_of(arguments)
    models = labeller.load(arguments.variant, arguments.repeat)
    write = write_json if arguments.json else write_csv
    n_texts = n_faulty = n_unknown = 0
    try:
        for piece in tqdm(rows.pieces(rows.checked(texts)), unit="piece", disable=None, delay=2):
            for row in piece.faulty:
                print(f"row {row.number} {row.fault}", file=sys.stderr)
            n_faulty += len(piece.faulty)
            if piece.numbers:
                labelled = models.label(piece.texts)
                n_unknown += np.count_nonzero(labelled.n_known == 0)
                named = piece.texts.to_pylist() if arguments.texts else piece.numbers
                write("text" if arguments.texts else "row", named, labelled, models.names, n_texts)
                sys.stdout.flush()
            n_texts += len(piece.numbers)
    except BrokenPipeError:  # such as of `head`: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    if n_unknown:
        said = f"{count_of(n_unknown, 'text')} of {n_texts:,} without a word that the models know"
        print(f"warning: {said}", file=sys.stderr)
    if not n_texts + n_faulty:
        raise InputError("there is no text to label")
    if n_faulty:
        raise InputError(f"{n_faulty:,} of {count_of(n_texts + n_faulty, 'row')} without a label")


def texts_of(arguments: Namespace) -> Iterator[object]:
    """Find the texts: the arguments, standard input or a table; raises InputError for none."""
    if bool(arguments.texts) == bool(arguments.file):
        raise InputError("name some texts, or a --file of them, and not both")
    if arguments.texts:
        return iter(arguments.texts)
    if arguments.file == STANDARD_INPUT:
        return rows.lines(sys.stdin.buffer)
    return rows.table(Path(arguments.file), params.load().download.texts)


def write_csv(head: str, named: list, labelled: Labelled, names: list[str], n_before: int) -> None:
    """Write a row for each text, below a header if there were none before."""
    top = labelled.probabilities.max(axis=1).astype(float).round(DIGITS)
    telling = [map(" ".join, words) for words in labelled.telling]
    writer = csv.writer(sys.stdout, lineterminator="\n")
    if not n_before:
        writer.writerow([head, "label", "probability", *("for", "against")[: len(telling)]])
    writer.writerows(zip(named, labelled.labels, top.tolist(), *telling, strict=True))


def write_json(head: str, named: list, labelled: Labelled, names: list[str], n_before: int) -> None:
    """Write an object for each text, on a line of its own, with the probability of each label."""
    each = labelled.probabilities.astype(float).round(DIGITS).tolist()
    for i, (name, label, values) in enumerate(zip(named, labelled.labels, each, strict=True)):
        of_label = dict(zip(names, values, strict=True))
        found = {head: name, "label": label, "probability": of_label[label]}
        telling = (words[i] for words in labelled.telling)
        found |= {"probabilities": of_label} | dict(zip(("for", "against"), telling, strict=False))
        sys.stdout.write(json.dumps(found, ensure_ascii=False) + "\n")
