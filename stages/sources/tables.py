"""A user's own labelled text in a table: CSV, TSV, JSON Lines or Parquet."""

import gzip
from pathlib import Path

import polars as pl
import pyarrow as pa

from stages.shared.artifacts import InputError, check_expansion, reading_input
from stages.shared.params import ReviewSource
from stages.sources.labelled import labelled

BLOCK_BYTES = 16 << 20
TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")


def table(path: Path, source: ReviewSource) -> pa.Table:
    """Read a CSV, TSV, JSON Lines or Parquet file, its columns named by parameters."""
    frame = read_frame(path)
    named = {"text": source.text, "label": source.label}
    named |= {key: getattr(source, key) for key in ("split", "group") if getattr(source, key)}
    for key, column in named.items():
        if column not in frame.columns:
            known = ", ".join(frame.columns)
            raise InputError(
                f"download.reviews.{key}: {path} has no column {column!r}, but {known}"
            )
        if f"{column}_duplicated_0" in frame.columns:
            raise InputError(f"download.reviews.{key}: {path} has column {column!r} twice")
    frame = frame.select(pl.col(column).alias(key) for key, column in named.items())
    text = frame["text"].cast(pl.String).fill_null("")
    groups = frame["group"].cast(pl.String).to_list() if "group" in frame else None
    splits = frame["split"].cast(pl.String).to_list() if "split" in frame else None
    return labelled(path, source, text, frame["label"].to_list(), splits, groups)


def read_frame(path: Path) -> pl.DataFrame:
    """Read a table of any supported kind; what is not UTF-8 becomes U+FFFD."""
    suffix = path.name.removesuffix(".gz").rpartition(".")[2].lower()
    if f".{suffix}" not in TABLE_SUFFIXES:
        known = ", ".join(TABLE_SUFFIXES)
        raise InputError(f"download.reviews.path: {path.name} ends in none of {known}")
    with reading_input(path):
        try:
            if suffix == "parquet":
                return pl.read_parquet(path)
            content = gunzipped(path) if path.suffix == ".gz" else path.read_bytes()
            if suffix in ("csv", "tsv"):
                separator = "\t" if suffix == "tsv" else ","
                return pl.read_csv(
                    content, separator=separator, infer_schema=False, encoding="utf8-lossy"
                )
            content = content.decode("utf-8", "replace").encode()
            return pl.read_ndjson(content, infer_schema_length=None)
        except pl.exceptions.NoDataError:
            raise InputError(f"{path} is empty") from None
        except pl.exceptions.PolarsError as error:
            raise ValueError(f"as {suffix}: {error}") from None


def gunzipped(path: Path) -> bytes:
    """Read a gzipped file whole."""
    content = bytearray()
    with gzip.open(path) as file:
        while block := file.read(BLOCK_BYTES):
            content += block
            check_expansion(path, len(content))
    return bytes(content)
