"""What several test modules share: the project, and a small copy of it on real reviews."""

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import stages.shared.blas  # noqa: F401  before numpy, as in the stages

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from stages.download import texts
from tests import fork_server

if TYPE_CHECKING:
    from matplotlib.figure import Figure

pytest.register_assert_rewrite("tests.ray_cluster")

PROJECT = Path(__file__).parents[1]
TRACKED = (".dvc/config", ".dvc/plots", ".dvcignore", ".gitignore", "data/.gitignore")
CODE = ("dvc.yaml", "params.yaml", "stages")
PATIENCE = 600  # seconds, after which what should have ended or happened is taken for stuck


@pytest.fixture(scope="session")
def project() -> Path:
    """The root of this project."""
    return PROJECT


@pytest.fixture(scope="session")
def imdb() -> pa.Table:
    """The reviews of the default run: split, label, text."""
    return texts.imdb_package()


@pytest.fixture(scope="session")
def made_once(tmp_path_factory, worker_id) -> Callable[[str, Callable[[Path], None]], Path]:
    """Makes a file or folder of a name once, whichever of the tests' workers asks for it first.

    It is for reading: a test that disturbs it takes a copy.
    """
    base = tmp_path_factory.getbasetemp()
    base = base if worker_id == "master" else base.parent

    def make(name: str, build: Callable[[Path], None]) -> Path:
        with (base / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (base / f"{name}.made").exists():
                build(base / name)
                (base / f"{name}.made").touch()
        return base / name

    return make


@pytest.fixture(scope="session")
def aclimdb(imdb, made_once) -> Path:
    """A small aclImdb folder: 100 real reviews of each label to train on, 30 to test on."""

    def build(root: Path) -> None:
        table = imdb.to_pandas()
        for (split, label), group in table.groupby(["split", "label"]):
            folder = root / split / ("pos" if label else "neg")
            folder.mkdir(parents=True)
            for number, text in enumerate(group["text"].head(100 if split == "train" else 30)):
                (folder / f"{number}_{9 if label else 2}.txt").write_text(text, encoding="utf-8")

    return made_once("aclImdb", build)


@pytest.fixture(scope="session")
def glove(made_once) -> Path:
    """A small GloVe text file: 8 numbers for each of some frequent words."""

    def build(path: Path) -> None:
        words = ["the", "and", "a", "of", "to", "is", "it", "film", "not", "good", "bad", "worst"]
        values = np.random.default_rng(0).normal(size=(len(words), 8)).round(4)
        lines = (" ".join([word, *map(str, row)]) for word, row in zip(words, values, strict=True))
        path.write_text("\n".join(lines) + "\n")

    return made_once("glove.txt", build)


def check_panels(figure: "Figure") -> None:
    """Check that no panel of a figure is tiny, huge or stretched."""
    for axis in figure.axes:
        if axis.get_label() != "<colorbar>":
            width, height = axis.get_window_extent().size / figure.dpi
            assert min(width, height) > 2.5
            assert max(width, height) < 6
            assert 0.9 < width / height < 1.7


def check_alignment(cells: list[list[str]]) -> None:
    """Check that numbers stand at the right, but those of the first column beside words."""
    if not cells:
        return
    header, rules, *rows = cells
    number = re.compile(r"\W*\d[\d,]*(\.\d+)?(?![.\d])")
    for column, (rule, *values) in enumerate(zip(rules, *rows, strict=True)):
        is_of_numbers = values and all(map(number.match, values))
        assert rule == "--:" or not is_of_numbers or column == 0, (header[column], rule, values)
    if rows and all(number.match(cell) for row in rows for cell in row):
        assert rules[0] == "--:", cells


def tables_of(page: str) -> dict[str, list[list[str]]]:
    """The cells of each table of a page, by the section that it stands in."""
    found = {}
    for section in page.split("\n## ")[1:]:
        lines = [line for line in section.splitlines() if line.startswith("| ")]
        cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
        found[section.splitlines()[0]] = [row for row in cells if not row[0].startswith("--")]
        check_alignment(cells)
    return found


def load_yaml(text: str) -> Any:
    """Read YAML as `yaml.safe_load` does, in a tenth of the time."""
    return yaml.load(text, yaml.CSafeLoader)


def dump_yaml(content: object) -> str:
    return yaml.dump(content, Dumper=yaml.CSafeDumper, sort_keys=False)


def edit_params(root: Path, **changes: object) -> None:
    """Change keys of a project's params.yaml; `__` stands for the dot between two names."""
    path = root / "params.yaml"
    content = load_yaml(path.read_text())
    for key, value in changes.items():
        *sections, name = key.split("__")
        section = content
        for part in sections:
            section = section[part]
        section[name] = value
    path.write_text(dump_yaml(content))


@pytest.fixture(scope="session")
def make_project(aclimdb, glove) -> Callable[[Path], Path]:
    """Copies the project into an empty folder, with parameters small enough to run in seconds."""

    def make(root: Path) -> Path:
        for name in (*TRACKED, *CODE):
            source, target = PROJECT / name, root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
        edit_params(
            root,
            download__texts__source="aclimdb",
            download__texts__path=str(aclimdb),
            download__vectors__glove__source="glove-text",
            download__vectors__glove__path=str(glove),
            tokenize__num_words=500,
            tokenize__maxlen=20,
            embed__random__dim=8,
            train__samples=40,
            train__validation_samples=50,
            train__repeats=2,
            train__epochs=2,
        )
        return root

    return make


def execute(
    root: Path, *command: str, check: bool = True, first: str = ""
) -> subprocess.CompletedProcess:
    """Run a command in a folder, with this interpreter's programs on PATH, after those of first."""
    places = [first, str(Path(sys.executable).parent), os.environ["PATH"]]
    path = os.pathsep.join(filter(None, places))
    environment = os.environ | {"PATH": path, "DVC_NO_ANALYTICS": "1"}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)  # stages.train.backend sets it in this process
    done = subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, timeout=PATIENCE
    )
    assert not check or done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="session")
def run(made_once, worker_id) -> Callable[..., subprocess.CompletedProcess]:
    """Runs a command in a folder; `python` and `dvc`, below it too, start at once."""
    if not hasattr(os, "pidfd_open"):  # of Linux
        return execute
    session = os.getpid() if worker_id == "master" else os.getppid()
    start = partial(fork_server.start, until=session)
    folder = os.environ.get("FORK_SERVER") or made_once("programs", start)
    return partial(execute, first=str(folder))


@pytest.fixture(scope="session")
def run_alone() -> Callable[..., subprocess.CompletedProcess]:
    """Runs a command in a folder as a user would: each program a process of its own."""
    return execute


# What a process that runs a stage takes is most of all to import TensorFlow: here all share one.
RUN_STAGES = """
import runpy, sys, yaml
last = sys.argv[1]
params = yaml.safe_load(open("params.yaml", encoding="utf-8"))
for module, *arguments in (
    ["download"], *(["download", name] for name in params["download"]["vectors"]), ["tokenize"],
    ["embed"], *(["train", name] for name in params["variants"]), ["predict"], ["evaluate"],
    ["report"],
):
    sys.argv = [module, *arguments]
    runpy.run_module(f"stages.{module}", run_name="__main__", alter_sys=True)
    if module == last:
        break
"""


@pytest.fixture(scope="session")
def run_stages(run) -> Callable[..., None]:
    """Runs the stages of a project, up to a last one, in one process and without DVC."""

    def run_stages(root: Path, last: str = "report") -> None:
        run(root, "python", "-c", RUN_STAGES, last)

    return run_stages


@pytest.fixture(scope="session")
def reproduced(make_project, run, made_once) -> Path:
    """A small project that DVC has run once, committed; tests that change it take a copy."""

    def build(root: Path) -> None:
        make_project(root)
        run(root, "git", "init", "--quiet")
        run(root, "git", "config", "user.name", "Test")
        run(root, "git", "config", "user.email", "test@example.com")
        run(root, "dvc", "repro")
        run(root, "git", "add", "--all")
        run(root, "git", "commit", "--quiet", "--message", "Run the pipeline")

    return made_once("reproduced", build)


# Projects whose models are put to use: each head, both methods of tokenizing, 2 and 8 labels.
USED: dict[str, dict[str, object]] = {
    "mean": {"model__head": "mean", "tokenize__num_bigrams": 60},
    "flatten of eight": {"tokenize__method": "unicode", "model__hidden_units": 0},
    "conv of eight": {"model__head": "conv", "tokenize__lowercase": False},
}


@pytest.fixture(scope="session")
def used(make_project, reproduced, imdb, run_stages, made_once) -> Callable[[str], Path]:
    """Gives a project with trained models, by its name in USED; "flatten" is `reproduced`."""

    def build_of(name: str) -> Callable[[Path], None]:
        def build(root: Path) -> None:
            changes = dict(USED[name])
            if name.endswith("eight"):
                texts = imdb["text"][:400].to_pylist()
                labels = [f"label {i % 8}" for i in range(len(texts))]
                root.mkdir()
                pq.write_table(pa.table({"text": texts, "label": labels}), root / "eight.parquet")
                changes |= {"download__texts__source": "table"}
                changes |= {"download__texts__path": "eight.parquet"}
            make_project(root)
            variants = load_yaml((root / "params.yaml").read_text())["variants"]
            kept = {key: variants[key] for key in ("learned", "tfidf")}
            edit_params(root, **changes, variants=kept)
            run_stages(root, last="evaluate")

        return build

    def use(name: str) -> Path:
        return reproduced if name == "flatten" else made_once(f"used {name}", build_of(name))

    return use


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name bytes by their argument: what gzip makes of them holds the time, and workers differ."""
    return argname if isinstance(val, bytes) else None
