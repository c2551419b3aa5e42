"""Land labelled texts in the one form that later stages know."""

from collections.abc import Iterator
from json import dumps, loads

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stages.download import equal_texts, texts
from stages.download.labelled import check_each_label, shown
from stages.download.location import local_copy
from stages.shared import artifacts
from stages.shared.files import whole
from stages.shared.schema import TextSource
from stages.shared.text import count_of

MOST_COUNTED = 20  # labels whose texts are counted in a line
ROWS_PER_GROUP = 10_000  # what a later stage reads at a time: some 13 MB of IMDB texts
NOT_UTF8 = "\ufffd"  # what stands where bytes were not UTF-8


def read_texts(source: TextSource) -> pa.Table:
    """Read the texts of a source: split, label, text; what is equal is counted, or dropped.

    The metadata has `labels`, their names, and `equal_texts`, the counts; both are JSON.
    """
    table = texts.SOURCES[source.source](local_copy("texts", source), source)
    ids = equal_texts.text_ids(table["text"])
    if source.duplicates == "drop":
        n_before = table.num_rows
        table = equal_texts.drop(table, ids)
        print(f"{count_of(n_before - table.num_rows, 'text')} dropped, of equal texts")
        ids = equal_texts.text_ids(table["text"])
        check_each_label(source.name, table)
    is_test = pc.equal(table["split"], "test").to_numpy()
    counts = equal_texts.count(is_test, table["label"].to_numpy(), ids)
    return table.replace_schema_metadata(table.schema.metadata | {"equal_texts": dumps(counts)})


def land_texts(source: TextSource) -> None:
    """Write the texts of a source to data/raw/texts.parquet, the train split first."""
    table = read_texts(source)
    with whole(artifacts.TEXTS) as partial:
        pq.write_table(table, partial, compression="zstd", row_group_size=ROWS_PER_GROUP)
    print(f"{artifacts.TEXTS}: {count_of(table.num_rows, 'text')}")
    for line in described(table):
        print(line)


def described(table: pa.Table) -> Iterator[str]:
    """Say of landed texts what a user should know: labels, splits, what is odd, what is equal."""
    names = loads(table.schema.metadata[b"labels"])
    if len(names) == 2:
        yield f"label 0 is {shown(names[0])}, label 1 is {shown(names[1])}"
    for split in ("train", "test"):
        label = table["label"].filter(pc.equal(table["split"], split)).to_numpy()
        counts = [*zip(np.bincount(label, minlength=len(names)).tolist(), names, strict=True)]
        of_each = [f"{count:,} {shown(name)}" for count, name in counts[:MOST_COUNTED]]
        if left := counts[MOST_COUNTED:]:
            of_each.append(f"{sum(count for count, _ in left):,} of {len(left)} more labels")
        yield f"{split} split: {count_of(len(label), 'text')} ({', '.join(of_each)})"
    n_empty = pc.sum(pc.equal(pc.binary_length(table["text"]), 0)).as_py()
    if n_empty:
        yield f"empty: {count_of(n_empty, 'text')}"
    n_replaced = pc.sum(pc.match_substring(table["text"], NOT_UTF8)).as_py()
    if n_replaced:
        yield (
            f"with U+FFFD, for what is not UTF-8: {count_of(n_replaced, 'text')};"
            " if the file is in another encoding, set download.texts.encoding, as to cp1252"
        )
    equal = loads(table.schema.metadata[b"equal_texts"])
    mend = "download.texts.duplicates: drop leaves them out"
    if equal["test_in_train"]:
        n_equal = count_of(equal["test_in_train"], "test text")
        yield f"in train too, but for capitals and white space: {n_equal}; {mend}"
    if equal["two_labels"]:
        yield f"with more than one label: {count_of(equal['two_labels'], 'text')}; {mend}"
