"""Every module that can be run says what it does."""

import argparse
import json
import re

import pytest

from tests.conftest import PROJECT

FILES = {f"stages.{path.parent.name}": path for path in PROJECT.glob("stages/*/__main__.py")}
FILES |= {
    f"{folder}.{path.stem}": path
    for folder in ("experiments", "benchmarks")
    for path in (PROJECT / folder).glob("*.py")
    if "__main__" in path.read_text()
}
HELP = """
import argparse, contextlib, io, json, runpy, sys
printed, options, print_help = {}, [], argparse.ArgumentParser.print_help

def note(self, *arguments):
    for action in self._actions:
        about = action.metavar, action.help, action.choices and [*action.choices]
        options.append((self.prog, action.dest, *about, str(action.default)))
    print_help(self, *arguments)

argparse.ArgumentParser.print_help = note
for module in sys.argv[1:]:
    sys.argv[1:] = ["--help"]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        except SystemExit as ended:
            assert not ended.code, (module, ended.code)
    printed[module] = out.getvalue()
print(json.dumps([printed, options]))
"""


@pytest.fixture(scope="module")
def told(run):
    """What each module prints, and its options; one process, for what takes time is to import."""
    return json.loads(run(PROJECT, "python", "-c", HELP, *sorted(FILES)).stdout)


def test_help_is_printed_and_nothing_is_run(told):
    printed, _ = told
    assert printed.keys() == FILES.keys()
    for module, path in FILES.items():
        text, said = path.read_text(), printed[module]
        assert text[3:].splitlines()[0].split(":")[0] in said.replace("\n", " "), module
        is_part = "print(__doc__)" in text  # of another module, which takes the arguments
        assert said.startswith(f"usage: python -m {module} [-h]") != is_part, module


def test_every_option_has_a_name_for_its_value_and_a_default_that_it_takes(told):
    for prog, dest, metavar, said, choices, default in told[1]:
        assert metavar is None or re.fullmatch(r"[A-Z0-9.,=]+", metavar), (prog, dest)
        assert said in (None, argparse.SUPPRESS) or " " in said, (prog, dest)
        assert not choices or default in ("None", *choices), (prog, dest)


def test_a_stage_without_arguments_refuses_some(run, project):
    done = run(project, "python", "-m", "stages.evaluate", "learned", check=False)
    assert done.returncode == 2
    assert "unrecognized arguments: learned" in done.stderr
