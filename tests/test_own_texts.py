"""Texts of a user's own are labelled as the test split was, from anywhere, without TensorFlow."""

import bz2
import csv
import gzip
import io
import json
import lzma
import os
import re
import shutil
import subprocess
import sys
import zipfile
from io import StringIO
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from scipy.sparse import csr_array

from stages.predict import labeller, light, models, rows
from stages.shared import artifacts, params
from stages.shared.errors import InputError
from tests.conftest import PROJECT, USED, edit_params

PROJECTS = ["flatten", *USED]
TEXTS = ["A great film.", 'Bad, "awful" plot.\nTwo lines, two.', "It is 5 o'clock; the worst"]


def scored(root: Path, variant: str) -> tuple[list[str], np.ndarray]:
    """The texts of the test split, and their probabilities, (n_repeats, n_texts, n_labels)."""
    texts = pq.read_table(root / artifacts.TEXTS)
    table = pq.read_table(root / artifacts.PREDICTIONS)
    own = table.filter(pc.equal(table["variant"], variant)).to_pandas()
    each = [np.stack(of["probability"].to_numpy()) for _, of in own.groupby("repeat")]
    stacked = np.stack(each)
    if stacked.ndim == 2:
        stacked = np.stack([1 - stacked, stacked], axis=2)
    return texts["text"].filter(pc.equal(texts["split"], "test")).to_pylist(), stacked


def labelled(run, root: Path, *arguments: str, check: bool = True) -> list[dict[str, str]]:
    """What the command writes, row by row."""
    done = run(root, "python", "-m", "stages.predict", *arguments, check=check)
    return [*csv.DictReader(StringIO(done.stdout))]


@pytest.mark.parametrize("variant", ["learned", "tfidf"])
@pytest.mark.parametrize("project", PROJECTS)
def test_a_text_of_the_test_split_gets_what_the_stage_gave_it(used, monkeypatch, project, variant):
    root = used(project)
    monkeypatch.chdir(root)
    texts, expected = scored(root, variant)
    names = json.loads(pq.read_schema(root / artifacts.TEXTS).metadata[b"labels"])
    for repeat, of_repeat in ((None, expected.mean(axis=0)), (1, expected[1])):
        found = labeller.load(variant, repeat).label(texts)
        np.testing.assert_allclose(found.probabilities, of_repeat, rtol=0, atol=1e-6)
        assert found.labels == [names[i] for i in found.probabilities.argmax(axis=1)]


@pytest.mark.parametrize("project", PROJECTS)
def test_the_stage_scores_each_repeat_by_its_own_weights_as_keras_does(used, project):
    from stages.train.network import build_model

    root = used(project)
    settings = params.load(root / "params.yaml")
    sequences = np.load(root / artifacts.split("test") / "sequences.npy")
    _, found = scored(root, "learned")
    sizes = settings.model.hidden_units, True, found.shape[2]
    for repeat, own in enumerate(found):
        path = root / artifacts.weights("learned", repeat)
        with h5py.File(path) as file:
            shape = file["layers/embedding/vars/0"].shape
        model = build_model(settings.model.head, *shape, sequences.shape[1], *sizes)
        model.load_weights(path)
        expected = model.predict(sequences, verbose=0)
        if found.shape[2] == 2:
            expected = np.hstack([1 - expected, expected])
        np.testing.assert_allclose(own, expected, rtol=0, atol=1e-5)
    assert len(found) > 1
    assert not np.allclose(found[0], found[1], atol=1e-3)


@pytest.mark.parametrize("project", PROJECTS)
def test_the_stage_scores_each_repeat_of_tf_idf_by_its_own_weights(used, project):
    root = used(project)
    sequences = np.load(root / artifacts.split("test") / "sequences.npy")
    _, found = scored(root, "tfidf")
    for repeat, own in enumerate(found):
        with h5py.File(root / artifacts.weights("tfidf", repeat)) as file:
            idf, coefficients, intercept = (
                file[name][:].astype(float) for name in ("idf", "coefficients", "intercept")
            )
        counts = np.stack([np.bincount(row, minlength=len(idf)) for row in sequences])
        counts[:, 0] = 0  # padding
        weighed = np.where(counts, 1 + np.log(np.maximum(counts, 1)), 0) * idf
        weighed /= np.maximum(np.linalg.norm(weighed, axis=1, keepdims=True), 1e-9)
        logits = (weighed @ coefficients + intercept).reshape(len(sequences), -1)
        if found.shape[2] == 2:
            logits = np.hstack([np.zeros_like(logits), logits])
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        expected = powers / powers.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(own, expected, rtol=0, atol=1e-5)
    assert not np.allclose(found[0], found[1], atol=1e-3)


def test_the_command_writes_a_row_for_each_text(used, run):
    root = used("flatten")
    texts, expected = scored(root, "learned")
    found = labelled(run, root, *texts[:3], "--variant", "learned")
    assert [row["text"] for row in found] == texts[:3]
    mean = expected.mean(axis=0)[:3]
    assert [float(row["probability"]) for row in found] == pytest.approx(mean.max(axis=1), abs=2e-6)
    assert [row["label"] for row in found] == [["neg", "pos"][i] for i in mean.argmax(axis=1)]


def test_json_has_the_probability_of_every_label(used, run):
    root = used("conv of eight")
    texts, expected = scored(root, "learned")
    command = ("python", "-m", "stages.predict", texts[0], "--variant", "learned", "--json")
    found = json.loads(run(root, *command).stdout)
    assert [*found["probabilities"]] == [f"label {i}" for i in range(8)]
    of_labels = expected.mean(axis=0)[0]
    assert [*found["probabilities"].values()] == pytest.approx(of_labels, abs=2e-6)
    assert found["label"] == f"label {of_labels.argmax()}"
    assert found["probability"] == max(found["probabilities"].values())


def test_without_a_name_the_most_accurate_variant_answers(used, run):
    root = used("flatten")
    best = json.loads((root / artifacts.EVALUATION).read_text())["best"]["variant"]
    assert labelled(run, root, "good") == labelled(run, root, "good", "--variant", best)


def write_kinds(folder: Path) -> list[Path]:
    """Write the same texts in every kind of table."""
    folder.mkdir()
    table = pa.table({"id": [1, 2, 3], "text": TEXTS})
    pq.write_table(table, folder / "a.parquet")
    plain = folder / "a.csv"
    table.to_pandas().to_csv(plain, index=False)
    table.to_pandas().to_csv(folder / "a.tsv", index=False, sep="\t")
    table.to_pandas().to_csv(folder / "utf16.csv", index=False, encoding="utf-16")
    table.to_pandas().to_csv(folder / "one.csv", index=False, columns=["text"])
    (folder / "a.json").write_text(json.dumps(table.to_pylist()))
    (folder / "a.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in table.to_pylist()))
    for opened, suffix in ((gzip.open, "gz"), (bz2.open, "bz2"), (lzma.open, "xz")):
        opened(folder / f"a.csv.{suffix}", "wb").write(plain.read_bytes())
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.write(plain, "a.csv")
    return sorted(folder.iterdir())


def source(**changes):
    """How tables are written, by the project's params.yaml."""
    return params.load(PROJECT / "params.yaml").download.texts.model_copy(update=changes)


def test_a_table_of_every_kind_gives_the_same_texts(tmp_path):
    kinds = write_kinds(tmp_path / "kinds")
    assert len(kinds) == 11
    for path in kinds:
        found = [row.text for row in rows.checked(rows.table(path, source()))]
        assert found == TEXTS, path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("head_bytes", [65, 200])
def test_a_csv_is_read_to_its_end_by_what_its_head_shows(
    tmp_path, monkeypatch, head_bytes, encoding
):
    n_bytes = 2 if encoding == "utf-16" else 1  # of a character
    monkeypatch.setattr(rows, "HEAD_BYTES", head_bytes * n_bytes)
    texts = [f"{text} {i}" for i in range(200) for text in TEXTS]
    pa.table({"text": texts}).to_pandas().to_csv(tmp_path / "a.csv", index=False, encoding=encoding)
    found = [row.text for row in rows.checked(rows.table(tmp_path / "a.csv", source()))]
    assert found == texts


@pytest.mark.parametrize("head_bytes", [100, 10_000])
def test_a_backslash_before_what_needs_none_stays_however_far_down_it_stands(
    head_bytes, tmp_path, monkeypatch
):
    monkeypatch.setattr(rows, "HEAD_BYTES", head_bytes)
    path = tmp_path / "a.csv"
    path.write_text("id,text\n" + '1,"say \\"hi\\", then a\\_b or plain"\n' * 9)
    assert [*rows.table(path, source())] == ['say "hi", then a\\_b or plain'] * 9


def test_bytes_of_parquet_and_control_characters_of_json_are_read(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"other": ["x"], "text": pa.array([b"caf\xe9"])}), path)
    assert [*rows.table(path, source(encoding="latin1"))] == ["café"]
    pq.write_table(pa.table({"text": ["café"]}), path)
    assert [*rows.table(path, source(encoding="latin1"))] == ["café"]
    values = ('"a\tb"', "3", "1.5", "true", "null", '"café"')
    content = ", ".join(f'{{"text": {value}}}' for value in values)
    (tmp_path / "a.json").write_text(f"[{content}]", "utf-8")
    found = [*rows.table(tmp_path / "a.json", source())]
    assert found == ["a\tb", "3", "1.5", "true", None, "café"]


@pytest.mark.parametrize(
    ("column", "texts"),
    [
        (pa.array(["good", "bad", "good"]).dictionary_encode(), ["good", "bad", "good"]),
        (pa.array([1.5, 2.0, None]), ["1.5", "2.0", None]),
    ],
    ids=["dictionary", "numbers"],
)
def test_columns_of_parquet_that_are_no_plain_texts_are_read(column, texts, tmp_path):
    pq.write_table(pa.table({"text": column}), tmp_path / "a.parquet")
    assert [*rows.table(tmp_path / "a.parquet", source())] == texts


def of_other_columns() -> bytes:
    out = pa.BufferOutputStream()
    pq.write_table(pa.table({"other": ["x"], "id": [1]}), out)
    return out.getvalue().to_pybytes()


def encrypted() -> bytes:
    """A zip that says so: the lowest bit of the flags, beside the file and in the list."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.csv", "text\nx\n")
    content = out.getvalue().replace(b"PK\3\4\x14\0\0", b"PK\3\4\x14\0\1")
    return content.replace(b"PK\1\2\x14\3\x14\0\0", b"PK\1\2\x14\3\x14\0\1")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b" \n\n", "a.csv is empty"),
        ("a.csv", b"id,other\n1,x\n", "a.csv has no column 'text', but id, other"),
        ("a.parquet", of_other_columns, "a.parquet has no column 'text', but other"),
        ("a.json", b'[{"text": "a"}, {', "a.json can't be read: as json: "),
        ("a.csv.zip", encrypted, "a.csv.zip can't be read: .*encrypted"),
        ("a.csv.xz", b"\xfd7zXZ\0 and no more", "a.csv.xz can't be read: "),
    ],
)
def test_a_table_without_texts_is_refused_with_its_name(name, content, said, tmp_path):
    (tmp_path / name).write_bytes(content() if callable(content) else content)
    with pytest.raises(InputError, match=said):
        list(rows.table(tmp_path / name, source()))


def test_a_table_without_a_row_has_no_text_to_label(used, run, tmp_path):
    (tmp_path / "a.csv").write_text("id,text\n")
    command = ("python", "-m", "stages.predict", "--file", str(tmp_path / "a.csv"))
    done = run(used("flatten"), *command, check=False)
    assert (done.returncode, done.stderr) == (1, "error: there is no text to label\n")


def test_without_an_evaluation_none_is_the_most_accurate(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"evaluation\.json is not there .*: name a variant$"):
        labeller.most_accurate()


CSV = b'id,text\n1,good\n2,\n3,"",x\n4,caf\xe9\n5,"fine\nfilm"\n6,"open\n7,lost\n'
OF_CSV = {
    2: "has an empty text",
    3: "has 3 fields, but the header 2",
    4: "holds a byte, or half a character, that is no text",
    6: "opens a quote that isn't closed: what follows it was not read",
}
LINES = [{"text": "good"}, {"text": None}, {"x": 1}, [1], {"text": ["a"]}, {"text": "\ud800"}]
OF_LINES = {
    2: "has no text",
    3: "has no 'text'",
    4: "is no object with 'text'",
    5: "has a list in place of a text",
    6: "holds a byte, or half a character, that is no text",
    7: "is not valid JSON",
}


def test_a_faulty_row_is_named_and_the_rest_goes_on(tmp_path):
    (tmp_path / "a.csv").write_bytes(CSV)
    (tmp_path / "b.csv").write_text("id,text\n1,good\n2,\n3,fine\n")
    (tmp_path / "a.jsonl").write_text("\n".join([*map(json.dumps, LINES), "{bad", '{"text": 5}']))
    pq.write_table(pa.table({"text": ["good", None, ""]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"text": [b"caf\xe9", b"good", b""]}), tmp_path / "b.parquet")
    expected = {
        "a.csv": (OF_CSV, ["good", "fine\nfilm"]),
        "b.csv": ({2: "has an empty text"}, ["good", "fine"]),
        "a.jsonl": (OF_LINES, ["good", "5"]),
        "a.parquet": ({2: "has no text", 3: "has an empty text"}, ["good"]),
        "b.parquet": ({1: OF_CSV[4], 3: "has an empty text"}, ["good"]),
    }
    quoted = source(separator=",", quote='"')
    for name, (faults, texts) in expected.items():
        found = [*rows.checked(rows.table(tmp_path / name, quoted))]
        assert {row.number: row.fault for row in found if row.text is None} == faults, name
        assert [row.text for row in found if row.text is not None] == texts, name


def test_the_exit_status_says_that_rows_had_no_label(used, run, tmp_path):
    root, path = used("flatten"), tmp_path / "a.csv"
    path.write_text("id,text\n1,good\n2,\n3,bad,x\n4,zzyzx\n")
    command = ("python", "-m", "stages.predict", "--file", str(path), "--variant", "learned")
    done = run(root, *command, check=False)
    assert done.returncode == 1
    assert [line.split(",")[0] for line in done.stdout.splitlines()] == ["row", "1", "4"]
    assert done.stderr.splitlines() == [
        "row 2 has an empty text",
        "row 3 has 3 fields, but the header 2",
        "warning: 1 text of 2 without a word that the models know",
        "error: 2 of 4 rows without a label",
    ]


def test_rows_are_read_only_as_far_as_they_are_labelled():
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield "a text"

    pieces = rows.pieces(rows.checked(endless()))
    for number in (1, 2):
        assert len(next(pieces).texts) == rows.ROWS_AT_A_TIME
        assert taken == number * rows.ROWS_AT_A_TIME


def test_faulty_rows_fill_a_piece_as_texts_do(monkeypatch):
    monkeypatch.setattr(rows, "ROWS_AT_A_TIME", 4)
    found = [*rows.pieces(rows.checked(["a text", None] * 5))]
    assert [len(piece.texts) + len(piece.faulty) for piece in found] == [4, 4, 2]


def test_long_texts_make_small_pieces(monkeypatch):
    monkeypatch.setattr(rows, "CHARACTERS_AT_A_TIME", 100)
    found = [*rows.pieces(rows.checked(["x" * 60] * 5))]
    assert [piece.numbers for piece in found] == [[1, 2], [3, 4], [5]]


def test_a_text_is_repeated_as_it_is_where_the_locale_has_no_such_letters(
    used, run_alone, monkeypatch
):
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    command = ("python", "-m", "stages.predict", "--variant", "learned", "a good cinéma 日")
    _, line = run_alone(used("flatten"), *command).stdout.splitlines()
    assert line.startswith("a good cinéma 日,")


def test_standard_input_is_a_text_a_line_and_answered_before_it_ends(used):
    command = [sys.executable, "-m", "stages.predict", "--file", "-", "--variant", "learned"]
    with subprocess.Popen(
        command, cwd=used("flatten"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        process.stdin.write("a good film\n" * rows.ROWS_AT_A_TIME)
        process.stdin.flush()
        assert process.stdout.readline() == "row,label,probability\n"
        answers = [process.stdout.readline() for _ in range(rows.ROWS_AT_A_TIME)]
        assert answers[-1].startswith(f"{rows.ROWS_AT_A_TIME},")
        process.stdin.write("bad\r\n\nlast")
        process.stdin.close()
        *_, last = process.stdout
    assert last.startswith(f"{rows.ROWS_AT_A_TIME + 3},")
    assert process.wait() == 1  # for the empty line


def test_a_reader_that_goes_away_is_no_error(used):
    command = "yes good | python -m stages.predict --file - --variant learned | head -1"
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=used("flatten"), env=os.environ | {"PATH": path}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout == "row,label,probability\n"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("variant", ["learned", "tfidf"])
@pytest.mark.parametrize("project", ["flatten", "mean"])
def test_no_large_library_is_imported(used, run, project, variant):
    code = (
        "import runpy, sys; sys.argv = ['predict', 'good film', '--variant', sys.argv[1]];"
        "runpy.run_module('stages.predict', run_name='__main__', alter_sys=True);"
        "print({'tensorflow', 'keras', 'pandas', 'sklearn'} & {*sys.modules})"
    )
    said = run(used(project), sys.executable, "-c", code, variant).stdout.splitlines()
    assert said[0].startswith("text,label,probability")
    assert said[-1] == "set()"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["x", "--variant", "glove"], "variant 'glove' is not in params.yaml, which has learned"),
        (["x", "--repeat", "2"], "repeat 2 was not trained: there are 0 to 1"),
        (["x", "--repeat", "-1"], "repeat -1 was not trained: there are 0 to 1"),
        (["--json"], "name some texts, or a --file of them, and not both"),
        (["x", "--file", "a.csv"], "name some texts, or a --file of them, and not both"),
        (["--file", "missing.csv"], "missing.csv can't be read: No such file or directory"),
        (["--file", "params.yaml"], "params.yaml ends in none of .csv, .tsv"),
    ],
)
def test_what_can_not_be_done_is_said_in_one_line(used, run, arguments, said):
    done = run(used("flatten"), "python", "-m", "stages.predict", *arguments, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1
    assert said in done.stderr


def test_models_that_are_not_there_or_not_of_these_parameters_are_refused(
    used, tmp_path, monkeypatch
):
    root = shutil.copytree(used("flatten"), tmp_path / "copy", ignore=shutil.ignore_patterns(".*"))
    monkeypatch.chdir(root)
    labeller.load("learned")
    edit_params(root, tokenize__lowercase=False)
    with pytest.raises(InputError, match=r"params.yaml: tokenize is not what the models"):
        labeller.load("learned")
    edit_params(root, tokenize__lowercase=True, model__hidden_units=0)
    with pytest.raises(InputError, match=r"params.yaml: model is not what the models"):
        labeller.load("learned")
    edit_params(root, model__hidden_units=32, embed__random__dim=9)
    with pytest.raises(InputError, match=r"params.yaml: embed.random is not what the models"):
        labeller.load("learned")
    edit_params(root, embed__random__dim=8)
    shutil.rmtree(root / artifacts.model("learned"))
    with pytest.raises(InputError, match=r"repeat_0.weights.h5 is not there: dvc repro trains it"):
        labeller.load("learned")


def network(n_hidden: int, n_units: int) -> light.Network:
    """A network of 4 ids and 3 dimensions; 0 hidden units: none."""
    generator = np.random.default_rng(0)

    def layer(n_from: int, n_to: int) -> list[np.ndarray]:
        kernel = generator.normal(size=(n_from, n_to)).astype(np.float32)
        return [kernel, generator.normal(size=n_to).astype(np.float32)]

    embedding = generator.normal(size=(4, 3)).astype(np.float32)
    hidden = layer(3, n_hidden) if n_hidden else []
    return light.Network(embedding, hidden, layer(n_hidden or 3, n_units))


@pytest.mark.parametrize("n_hidden", [0, 5])
@pytest.mark.parametrize("n_units", [1, 3])
def test_what_the_words_add_is_how_the_logit_differs_from_that_of_no_word(n_hidden, n_units):
    own = network(n_hidden, n_units)
    sequences = np.array([[0, 1, 2, 2], [0, 0, 0, 3]], np.int32)
    labels = np.array([0, n_units - 1])
    table = light.by_word(own)
    _, added = models.by_means([own], [table], sequences)
    found = added(labels).toarray().sum(axis=1)
    for row, label, total in zip(sequences, labels, found, strict=True):
        mean = own.embedding[row[row > 0]].mean(axis=0)
        kernel, _ = own.last
        if own.hidden:  # where a unit is active, it is linear
            active = mean @ own.hidden[0] + own.hidden[1] > 0
            logits = (mean @ own.hidden[0] * active) @ kernel
        else:
            logits = mean @ kernel
        expected = logits[label] - logits.mean() if n_units > 1 else (2 * label - 1) * logits[0]
        assert total == pytest.approx(expected, abs=1e-5)


def test_three_words_a_side_are_told():
    scores = csr_array(np.array([[0, 8, 7, 6, 5, -1, -2, -3, -4]], float))
    words = pa.array([str(number) for number in range(9)])
    own = labeller.Labeller(
        ["neg", "pos"],
        words,
        lambda texts: (np.zeros((len(texts), 1)), np.ones(len(texts), int)),
        lambda inputs: ([np.array([0.8], np.float32)], lambda labels: scores),
    )
    assert own.label(["any"]).telling == [[["1", "2", "3"]], [["8", "7", "6"]]]


def test_a_broken_table_is_read_with_the_delimiter_that_its_header_fits(tmp_path):
    content = b"a,b;text\n1,2;good film\n3,4;bad;film\n5,6;fair\n"
    dialect = rows.dialect_of(tmp_path / "a.csv", content, "utf-8", source())
    assert dialect.separator == ";"


def test_a_column_that_holds_no_text_is_named_with_its_file_and_type(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": [["a", "b"]]}), path)
    expected = f"column 'text' of {path} is of type list<"
    with pytest.raises(InputError, match=re.escape(expected) + ".*should hold one text a row"):
        list(rows.table(path, source()))


def test_of_a_long_type_sixty_characters_are_told(tmp_path):
    path, fields = tmp_path / "a.parquet", {f"field {number}": number for number in range(20)}
    column = pa.table({"text": [fields]})
    pq.write_table(column, path)
    told = f"is of type {str(column.schema.field('text').type)[:60]}, but"
    with pytest.raises(InputError, match=re.escape(told)):
        list(rows.table(path, source()))


def test_the_words_that_speak_most_come_first():
    added = csr_array(np.array([[0, 3, 1, -2, 2, 4], [0, -1, 0, 0, -5, 0], [0] * 6], float))
    (for_ids, for_ends), (against, ends) = models.most_telling(added, 3)
    assert for_ids.tolist() == [5, 1, 4]
    assert for_ends.tolist() == [0, 3, 3, 3]
    assert against.tolist() == [3, 4, 1]
    assert ends.tolist() == [0, 1, 3, 3]


def test_a_word_speaks_for_the_label_by_its_coefficient(used, run):
    """With one word a text, TF-IDF is 1 whatever the word's idf: the coefficient decides."""
    root = used("flatten")
    weights = [root / artifacts.weights("tfidf", repeat) for repeat in (0, 1)]
    coefficients = np.mean([h5py.File(path)["coefficients"][:] for path in weights], axis=0)
    words = pq.read_table(root / artifacts.VOCABULARY)["word"].to_pylist()
    most, least = (int(pick(coefficients[1:500])) for pick in (np.argmax, np.argmin))
    found = labelled(run, root, f"{words[most]} {words[least]}", "--variant", "tfidf")[0]
    sides = [words[most], words[least]]
    assert [found["for"], found["against"]] == (sides if found["label"] == "pos" else sides[::-1])


def test_a_pair_of_words_is_named_by_both(used, monkeypatch):
    monkeypatch.chdir(used("mean"))
    own = labeller.load("learned", 0)
    pairs = pq.read_table(artifacts.BIGRAMS).to_pylist()
    num_words = params.load().tokenize.num_words
    assert own.words[num_words].as_py() == f"{pairs[0]['first']}_{pairs[0]['second']}"
    assert len(own.words) == num_words + len(pairs)
