"""What `make bench` writes, and that each way it measures can still be gone."""

import json
import re

import numpy as np
import pytest

from benchmarks import compare, rows
from benchmarks.rows import Epoch

RESULTS = {
    "commit": "abc1234",
    "day": "2026-01-02",
    "machine": {
        "processor": "Any", "cores": 2, "operations_per_s": 1.2e11, "bytes_per_s": 3e10,
    },
    "rows": {
        "score": {
            "ways": {
                "article": {"s": 6.0, "peak_mib": 1200.0},
                "torch": {"s": 1.5, "peak_mib": 900.0},
                "ours": {"s": 2.0, "peak_mib": 800.0},
            },
            "share": 0.25,
        },
        "noop": {
            "ways": {"dvc": {"s": 0.5, "peak_mib": 76.0}, "ours": {"s": 0.5, "peak_mib": 77.0}}
        },
    },
}  # fmt: skip


def test_the_table_has_a_line_for_each_other_way_with_how_many_times_as_long_it_takes():
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in compare.table(RESULTS["rows"]).splitlines()
    ]
    assert lines[2:] == [
        ["score", "article", "6 s", "2 s", "3.0", "1,200 MiB", "800 MiB", "25 %"],
        ["score", "torch", "1.5 s", "2 s", "0.8", "900 MiB", "800 MiB", "25 %"],
        ["noop", "dvc", "0.5 s", "0.5 s", "1.0", "76 MiB", "77 MiB", ""],
    ]


def test_the_page_is_written_between_its_marks_alone(tmp_path, monkeypatch):
    page = tmp_path / "speed.md"
    page.write_text("before\n" + "old\n".join(compare.MARKS) + "after\n")
    monkeypatch.setattr(compare, "PAGE", page)
    compare.write_page(RESULTS)
    compare.write_page(RESULTS)
    text = page.read_text()
    assert text == "before\n" + compare.section(RESULTS).join(compare.MARKS) + "after\n"
    assert "120 thousand million operations" in text


def test_the_page_shows_every_row_as_it_was_measured_last_and_says_what_it_is():
    results, text = json.loads(compare.RESULTS.read_text()), compare.PAGE.read_text("utf-8")
    assert compare.section(results).join(compare.MARKS) in text
    assert [*results["rows"]] == [*rows.ROWS]
    for row in rows.ROWS:
        assert f"`{row.removeprefix('epoch_')}`" in text, row
    for row, ways in rows.ROWS.items():
        measured = results["rows"][row]
        assert measured["ways"].keys() == ways.keys(), row  # with all packages installed
        if measured.get("share", 1) < 1 / 3:
            assert re.search(rf"^- \*\*.*`{row}`", text, re.MULTILINE), row  # why it is no more


@pytest.mark.parametrize(
    ("head", "hidden_units", "expected"),
    [
        # 2 texts of 3 ids, of which 4 are words, 3 different ones and padding; 5 dimensions
        ("flatten", 7, (2 * 6 * 5 * 7, 4 * 6 * 5)),
        ("flatten", 0, (2 * 6 * 5, 4 * 6 * 5)),
        ("mean", 0, (2 * 4 * 5, 4 * 4 * 5)),
        ("conv", 0, (320 * (2 * 4 * 5 + 6), 4 * 320 * 4)),
    ],
)
def test_what_the_first_layer_needs_is_counted(head, hidden_units, expected):
    row = Epoch(2, 0, 3, 5, True, head, hidden_units, 2)
    assert rows.of_layers(row, np.array([[0, 1, 2], [0, 3, 1]])) == expected


@pytest.mark.slow
def test_every_way_can_be_measured(tmp_path):
    rows.prepare(tmp_path)
    for row, ways in rows.ROWS.items():
        for way in filter(compare.is_there, ways):
            measured = compare.measure(row, way, tmp_path)
            assert measured["s"] > 0, (row, way)
        assert compare.share(row, 1.0, tmp_path, RESULTS["machine"]) != 0
