"""Delimited tables in every dialect that Python's csv writes: read as written, or refused."""

import csv
import io
from pathlib import Path

from hypothesis import event, given, settings
from hypothesis import strategies as st

from stages.download import delimited
from stages.download.tables import table
from stages.shared.errors import InputError
from tests.test_tables import source

AWKWARD = st.text(st.sampled_from("ab1 é😀,;\t|\"'\\\n\r"), max_size=8)
TEXTS = st.lists(AWKWARD | st.text(st.characters(codec="utf-8")), min_size=4, max_size=8)
SPLITS = ["train", "train", "test", "test"] * 2


@st.composite
def dialects(draw) -> dict:
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONE]))
    quote = draw(
        st.sampled_from("\"'") if quoting != csv.QUOTE_NONE else st.sampled_from(['"', None])
    )
    return {
        "delimiter": draw(st.sampled_from(",;\t|")),
        "quoting": quoting,
        "quotechar": quote,
        "doublequote": draw(st.booleans()),
        "escapechar": draw(st.sampled_from([None, "\\"])),
        "lineterminator": draw(st.sampled_from(["\n", "\r\n", "\r"])),
    }


def written(path: Path, columns: list[list[str]], dialect: dict, encoding="utf-8") -> bool:
    """Write columns in a dialect, if it can hold them."""
    file = io.StringIO(newline="")
    try:
        csv.writer(file, **dialect).writerows(zip(*columns, strict=True))
    except csv.Error:
        return False
    path.write_bytes(file.getvalue().encode(encoding))
    return True


def told(dialect: dict) -> dict:
    """What parameters say of a dialect."""
    return {
        "separator": dialect["delimiter"],
        "quote": "" if dialect["quoting"] == csv.QUOTE_NONE else dialect["quotechar"],
        "escape": dialect["escapechar"] or "",
    }


@given(
    TEXTS,
    dialects(),
    st.permutations(["text", "label", "split"]) | st.permutations(["text", "label"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_what_python_writes_in_any_dialect_is_read_as_written_or_refused(
    tmp_path_factory, texts, dialect, order, encoding, is_told
):
    path = tmp_path_factory.mktemp("dialect") / "a.csv"
    labels = ["0", "1"] * 4
    columns = {"text": texts, "label": labels[: len(texts)], "split": SPLITS[: len(texts)]}
    if not written(path, [[name, *columns[name]] for name in order], dialect, encoding):
        return
    has_split = "split" in order
    changes = {"split": "split"} if has_split else {"test_fraction": 0.5}
    try:
        found = table(path, source(**changes, **(told(dialect) if is_told else {})))
    except InputError as error:
        event(f"{is_told} refused: {str(error)[len(str(path)) :][8:60]}")
        assert "\n" not in str(error)
        return
    event(f"{is_told} read")
    rows = zip(columns["split"], columns["label"], texts, strict=True)
    landed = zip(*(found[name].to_pylist() for name in ("split", "label", "text")), strict=True)
    if has_split:
        assert list(landed) == sorted(
            ((s, int(n), t) for s, n, t in rows), key=lambda r: r[0] == "test"
        )
    else:
        assert sorted(row[1:] for row in landed) == sorted((int(n), t) for _, n, t in rows)


def test_a_field_that_is_one_mark_stands_in_none():
    assert not delimited.are_around('"', ['"', '"', "5 feet"], is_quoted=False)
    assert delimited.are_around('"', ['"a"', '"b"', "5 feet"], is_quoted=False)


def test_two_readings_differ_where_a_row_does_or_after_the_last_that_both_have():
    def reading(*rows: tuple[str, int]) -> delimited.Reading:
        texts, lines = zip(*rows, strict=True)
        return delimited.Reading(delimited.Dialect(",", "", ""), {"text": [*texts]}, [*lines], [])

    one = reading(("a", 2), ("b", 3), ("c", 4))
    assert delimited.first_difference(one, reading(("a", 2), ("b c", 3))) == 3
    assert delimited.first_difference(reading(("a", 2), ("b", 3)), one) == 4


def test_marks_around_more_than_half_the_values_show_that_a_table_is_broken():
    half, more = ['"a"', "b"], ['"a"', '"c"', "b"]
    assert not delimited.are_around('"', half, is_quoted=False)
    assert delimited.are_around('"', more, is_quoted=False)
    assert not delimited.are_around('"', more, is_quoted=True)


def test_quote_marks_are_around_fields_where_several_texts_or_one_with_more_of_them_have_them():
    assert delimited.are_around('"', ['"a b"', '"c d"'], is_quoted=True)
    assert delimited.are_around('"', ['"a ""b"" c"', "d"], is_quoted=True)
    assert not delimited.are_around('"', ['"a b"'] * 3, is_quoted=True)
    assert delimited.are_around('"', ['"a b"'] * 3, is_quoted=False)
