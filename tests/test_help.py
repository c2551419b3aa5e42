"""Every module that can be run says what it does."""

import pytest

from tests.conftest import PROJECT

FILES = {f"stages.{path.parent.name}": path for path in PROJECT.glob("stages/*/__main__.py")}
FILES |= {
    f"{folder}.{path.stem}": path
    for folder in ("experiments", "benchmarks")
    for path in (PROJECT / folder).glob("*.py")
    if "__main__" in path.read_text()
}


@pytest.mark.parametrize("module", sorted(FILES))
def test_help_is_printed_and_nothing_is_run(run, project, module):
    done = run(project, "python", "-m", module, "--help")
    text = FILES[module].read_text()
    assert text[3:].splitlines()[0].split(":")[0] in done.stdout.replace("\n", " ")
    is_part = "print(__doc__)" in text  # of another module, which takes the arguments
    assert done.stdout.startswith(f"usage: python -m {module} [-h]") != is_part


def test_a_stage_without_arguments_refuses_some(run, project):
    done = run(project, "python", "-m", "stages.evaluate", "learned", check=False)
    assert done.returncode == 2
    assert "unrecognized arguments: learned" in done.stderr
