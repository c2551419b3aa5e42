"""Every module that can be run says what it does."""

import json

from tests.conftest import PROJECT

FILES = {f"stages.{path.parent.name}": path for path in PROJECT.glob("stages/*/__main__.py")}
FILES |= {
    f"{folder}.{path.stem}": path
    for folder in ("experiments", "benchmarks")
    for path in (PROJECT / folder).glob("*.py")
    if "__main__" in path.read_text()
}
HELP = """
import contextlib, io, json, runpy, sys
printed = {}
for module in sys.argv[1:]:
    sys.argv[1:] = ["--help"]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        except SystemExit as ended:
            assert not ended.code, (module, ended.code)
    printed[module] = out.getvalue()
print(json.dumps(printed))
"""


def test_help_is_printed_and_nothing_is_run(run, project):
    """One process for all: what takes the time is what they import."""
    printed = json.loads(run(project, "python", "-c", HELP, *sorted(FILES)).stdout)
    assert printed.keys() == FILES.keys()
    for module, path in FILES.items():
        text, said = path.read_text(), printed[module]
        assert text[3:].splitlines()[0].split(":")[0] in said.replace("\n", " "), module
        is_part = "print(__doc__)" in text  # of another module, which takes the arguments
        assert said.startswith(f"usage: python -m {module} [-h]") != is_part, module


def test_a_stage_without_arguments_refuses_some(run, project):
    done = run(project, "python", "-m", "stages.evaluate", "learned", check=False)
    assert done.returncode == 2
    assert "unrecognized arguments: learned" in done.stderr
