"""The mutants: those that are listed fit the code, and those that are drawn change one place."""

import shutil

from tests.conftest import PROJECT
from tests.mutants import __main__ as mutants
from tests.mutants.bearing import Reached
from tests.mutants.changes import changes

SOURCE = b'''def largest(values: list[int], n: int = 3) -> int:
    """Docstring with 1 number."""
    if not values and n > 0:
        raise ValueError(f"{n} of {values}, but not 4")
    rows["a"] = max(values[1:], key=abs)
    rows |= zip(ROWS, strict=True)
    return rows["b"].sum(axis=1)


if __name__ == "__main__":
    largest([1], 2)
'''


def test_every_mutant_that_is_aimed_applies_to_one_place_and_gives_another_program():
    aimed = mutants.aimed()
    assert all(mutant.is_another_program() for mutant in aimed)
    assert len({mutant.name for mutant in aimed}) == len(aimed)


def test_every_equivalent_mutant_is_one_that_may_be_drawn():
    found = {(mutant.path, *mutant.lines()) for mutant in mutants.all_mutants()}
    assert mutants.equivalent().keys() <= found


def test_what_is_drawn_depends_on_the_seed_and_takes_no_line_twice():
    path = "stages/evaluate/uncertainty.py"
    drawn = mutants.drawn(0, 10, path)
    assert drawn == mutants.drawn(0, 10, path) != mutants.drawn(1, 10, path)
    assert len({mutant.line() for mutant in drawn}) == 10
    assert {mutant.path for mutant in drawn} == {path}


def test_everything_is_changed_but_docstrings_annotations_plain_words_and_the_main_guard():
    changed = set()
    for start, end, new in changes(SOURCE):
        line = SOURCE[:start].count(b"\n")
        text = (SOURCE[:start] + new + SOURCE[end:]).decode().splitlines()[line]
        changed.add(" ".join(text.split()))
    assert changed == {
        "def largest(values: list[int], n: int = 4) -> int:",
        "def largest(values: list[int], n: int = 2) -> int:",
        "if values and n > 0:",
        "if not values or n > 0:",
        "if not values and n >= 0:",
        "if not values and n < 0:",
        "if not values and n > 1:",
        "if not values and n > -1:",
        "if not (not values and n > 0):",
        "pass",
        'raise ValueError(f"{values} of {n}, but not 4")',
        'rows["b"] = max(values[1:], key=abs)',
        'rows["a"] = min(values[1:], key=abs)',
        'rows["a"] = max(values[:1], key=abs)',
        'rows["a"] = max(values[2:], key=abs)',
        'rows["a"] = max(values[0:], key=abs)',
        "return None",
        'return rows["a"].sum(axis=1)',
        'return rows["b"].mean(axis=1)',
        'return rows["b"].sum(axis=0)',
    }


CODE = """
def at_once():
    return 1
def below():
    return 2
def made():
    return 3
"""
TESTS = """
import subprocess, sys
import pytest
from stages import code

def run(name):
    subprocess.run([sys.executable, "-c", f"from stages import code; code.{name}()"], check=True)

@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")

    def make(name, build):
        if not (folder / name).exists():
            build(folder / name)
        return folder / name

    return make

def build(path):
    run("made")
    path.touch()

@pytest.fixture(scope="session")
def found(made_once):
    return made_once("it", build)

def test_in_the_process(): code.at_once()
def test_below_it(): run("below")
def test_with_what_was_made(found): code.at_once()
def test_that_asks_for_it(made_once): made_once("it", None)
"""


def test_a_line_is_reached_in_processes_too_and_by_each_test_that_uses_what_reached_it(
    tmp_path, run
):
    for name, text in ("stages/code.py", CODE), ("tests/test_code.py", TESTS):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    shutil.copytree(PROJECT / "tests" / "mutants", tmp_path / "tests" / "mutants")
    options = ["-p", "tests.mutants.bearing", "-p", "no:cacheprovider", "--reached=reached"]
    run(tmp_path, "python", "-m", "pytest", *options)
    reached = Reached(tmp_path / "reached")
    names = {
        line: {test.partition("::")[2] for test in reached.reaching("stages/code.py", [line])}
        for line in (3, 5, 7)
    }
    assert names == {
        3: {"test_in_the_process", "test_with_what_was_made"},
        5: {"test_below_it"},
        7: {"test_with_what_was_made", "test_that_asks_for_it"},
    }
