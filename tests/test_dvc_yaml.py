"""dvc.yaml tells the truth: the code, the parameters and the files that each stage really uses."""

import ast
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from stages.shared import params
from stages.shared.schema import Section

ROOT = Path(__file__).parents[1]
# What says something is wrong, and never what an output holds: no stage lists it.
DECIDES_NO_OUTPUT = {f"stages/shared/{name}.py" for name in ("errors", "integrity", "params")}
# What labels a user's own texts, when `python -m stages.predict` has an argument; a stage has none.
OWN_TEXTS = {f"stages/predict/{name}.py" for name in ("labeller", "own_texts", "rows")}
# Rooms of an earlier stage that a later one uses, which its docstring names.
BORROWED = {
    "predict": {
        f"stages/train/{name}.py"
        for name in ("backend", "batches", "machine", "network", "regression")
    }
    | {"stages/download/delimited.py", "stages/download/tables.py", "stages/tokenize/encoding.py"}
}
COMMANDS = [
    ("download", "download", []),
    ("vectors@glove", "download", ["glove"]),
    ("tokenize", "tokenize", []),
    ("embed", "embed", []),
    ("train@learned", "train", ["learned"]),
    ("train@pretrained", "train", ["pretrained"]),
    ("predict", "predict", []),
    ("evaluate", "evaluate", []),
    ("report", "report", []),
]


@pytest.fixture(scope="module")
def lock(reproduced):
    """What DVC recorded of each stage when it ran."""
    return yaml.safe_load((reproduced / "dvc.lock").read_text())["stages"]


def imports(path: str) -> set[str]:
    """The files of stages/ that a file imports, at its top or anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("stages"):
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        found |= {f"{name.replace('.', '/')}.py" for name in names if name.startswith("stages.")}
    return {name for name in found if (ROOT / name).exists()}


def imported(path: str) -> set[str]:
    """A file and what of stages/ it imports, however deep, that can decide an output."""
    found, waiting = set(), [path]
    while waiting:
        path = waiting.pop()
        if path not in found | DECIDES_NO_OUTPUT | OWN_TEXTS:
            found.add(path)
            waiting += imports(path)
    return found


@pytest.mark.parametrize(("stage", "module", "arguments"), COMMANDS)
def test_a_stage_depends_on_exactly_the_code_that_it_imports(lock, stage, module, arguments):
    own = f"stages/{module}"
    listed = {dep["path"] for dep in lock[stage]["deps"] if dep["path"].startswith("stages/")}
    used = imported(f"{own}/__main__.py")
    is_whole = own in listed  # its folder, or the files of it that make the output
    assert listed == {own if is_whole and path.startswith(f"{own}/") else path for path in used}
    written = {path.relative_to(ROOT).as_posix() for path in (ROOT / own).glob("*.py")}
    assert written <= used | OWN_TEXTS  # nothing lies in its folder that it does not use
    assert not is_whole or not written & OWN_TEXTS


def test_no_room_depends_on_another_but_on_what_all_share_or_its_docstring_names():
    rooms = {path.parent.name for path in ROOT.glob("stages/*/__main__.py")}
    for path in ROOT.glob("stages/*/*.py"):
        room = path.parent.name
        others = {name for name in imports(path.relative_to(ROOT).as_posix())
                  if name.split("/")[1] not in (room, "shared")}  # fmt: skip
        assert others <= BORROWED.get(room, set()), path
        assert room in rooms or not others  # what is shared knows no stage
    for room, borrowed in BORROWED.items():
        docstring = ast.get_docstring(ast.parse((ROOT / f"stages/{room}/__main__.py").read_text()))
        for path in borrowed:
            assert Path(path).stem in docstring


@pytest.mark.slow
def test_only_the_stages_that_train_and_predict_import_tensorflow(run_alone):
    for module in ("download", "tokenize", "embed", "evaluate", "report"):
        command = f"import sys, stages.{module}.__main__; print(*sys.modules)"
        modules = run_alone(ROOT, "python", "-c", command).stdout.split()
        assert not {"tensorflow", "keras"} & {*modules}, module


class Recorder:
    """Stands in for a section of the parameters and notes which values are read."""

    def __init__(self, section, name, read):
        self.section, self.name, self.read = section, name, read

    def note(self, value, key):
        name = f"{self.name}.{key}".lstrip(".")
        if isinstance(value, Section | dict):
            return Recorder(value, name, self.read)
        self.read.add(name)
        return value

    def __getattr__(self, key):
        if isinstance(computed := getattr(type(self.section), key, None), property):
            return computed.fget(self)
        return self.note(getattr(self.section, key), key)

    def __getitem__(self, key):
        return self.note(self.section[key], key)

    def model_dump(self, **options):
        self.read.update(leaf.lstrip(".") for leaf in leaves(self.section, self.name))
        return self.section.model_dump(**options)

    def items(self):
        return [(key, self[key]) for key in self]

    def __iter__(self):
        self.read.update(leaves(self.section, self.name))
        return iter(self.section)

    def __len__(self):
        return len(self.section)

    def __contains__(self, key):
        return key in self.section


def leaves(content, name) -> set[str]:
    """The dotted names of all values of a section, a nested mapping or a single value."""
    if isinstance(content, Section):
        content = dict(content)
    if not isinstance(content, dict):
        return {name}
    return {leaf for key, value in content.items() for leaf in leaves(value, f"{name}.{key}")}


@pytest.mark.parametrize(("stage", "module", "arguments"), COMMANDS)
def test_a_stage_reads_the_parameters_that_it_lists_and_no_other(
    lock, reproduced, tmp_path, monkeypatch, stage, module, arguments
):
    monkeypatch.chdir(shutil.copytree(reproduced, tmp_path / "copy"))
    monkeypatch.setattr(sys, "argv", [module, *arguments])
    stage_module = __import__(f"stages.{module}.__main__", fromlist=["main"])
    read, settings = set(), params.load(Path("params.yaml"))
    monkeypatch.setattr(params, "load", lambda: Recorder(settings, "", read))
    stage_module.main()
    # train takes the names of the variants to check its argument, and one variant's values.
    others = {f"variants.{name}" for name in settings.variants if name not in arguments}
    if module == "train":  # it checks its argument
        read = {name for name in read if not any(name.startswith(f"{o}.") for o in others)}
        # Of its key of embed it asks whether it is drawn; what it looks up is in the matrix.
        read |= {f"embed.{settings.variants[arguments[0]].vectors}.vectors"}
    if module == "evaluate":  # it asks only how many columns were fitted
        read |= {*leaves(dict(settings.embed), "embed")}
    sections = lock[stage]["params"]["params.yaml"]
    listed = {leaf for name, value in sections.items() for leaf in leaves(value, name)}
    # Of its section, download reads what the source at hand takes.
    assert all(any(f"{name}.".startswith(f"{s}.") for s in sections) for name in read)
    assert {name for name in listed - read if not name.startswith("download.")} == set()


def test_what_the_stages_wrote_is_what_dvc_keeps(reproduced, lock):
    written = {
        path.relative_to(reproduced).as_posix()
        for folder in ("data", "metrics")
        for path in (reproduced / folder).rglob("*")
        if path.is_file() and path.name != ".gitignore"
    }
    kept = {out["path"] for stage in lock.values() for out in stage["outs"]}
    # These, Git's, may differ from machine to machine, as no output may.
    others = {path for path in written if not any(is_within(path, out) for out in kept)}
    variants = params.load(reproduced / "params.yaml").variants
    assert others == {f"data/trained_on/{name}.json" for name in variants}
    assert all((reproduced / out).exists() for out in kept)


def is_within(path: str, out: str) -> bool:
    return path == out or path.startswith(f"{out}/")
