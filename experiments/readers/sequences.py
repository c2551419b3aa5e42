"""The token ids of texts, as the model reads them; takes NumPy."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
from words import words

HERE = Path(__file__).parent
SETTINGS = json.loads((HERE / "settings.json").read_text("utf-8"))
WORDS = (HERE / "vocabulary.txt").read_bytes().decode("utf-8").split("\n")[:-1]
IDS = {word: i for i, word in enumerate(WORDS, 1)}
PAIRS = {(IDS[a], IDS[b]): SETTINGS["num_words"] + i for i, (a, b) in enumerate(SETTINGS["pairs"])}


def sequences(texts):
    """Turn texts into ids, (n_texts, width) int32; 0 is padding, which stands first."""
    maxlen = SETTINGS["maxlen"]
    rows = np.zeros((len(texts), maxlen), np.int32)
    for row, text in zip(rows, texts, strict=True):
        ids = [IDS[word] for word in words(text, SETTINGS["lowercase"]) if word in IDS][-maxlen:]
        row[maxlen - len(ids) :] = ids
    if not SETTINGS["num_bigrams"]:
        return rows
    pairs = [[PAIRS.get(pair, 0) for pair in pairwise(row)] for row in rows.tolist()]
    return np.hstack([rows, np.array(pairs, np.int32)])
