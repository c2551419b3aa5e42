"""Every module that can be run says what it does, and where it must be run from."""

import pytest

from tests.conftest import PROJECT

RUNNABLE = sorted(
    f"{folder}.{path.stem}"
    for folder in ("stages", "experiments", "benchmarks")
    for path in (PROJECT / folder).glob("*.py")
    if "__main__" in path.read_text()
)


@pytest.mark.parametrize("module", RUNNABLE)
def test_help_is_printed_and_nothing_is_run(run, project, module):
    done = run(project, "python", "-m", module, "--help")
    text = (project / f"{module.replace('.', '/')}.py").read_text()
    assert text[3:].splitlines()[0].split(":")[0] in done.stdout.replace("\n", " ")
    is_part = "print(__doc__)" in text  # of another module, which takes the arguments
    assert done.stdout.startswith(f"usage: python -m {module} [-h]") != is_part


@pytest.mark.parametrize(
    "stage", ["download", "tokenize_pad", "build_embedding", "train", "evaluate"]
)
def test_a_stage_run_as_a_script_says_where_to_stand(run, project, stage):
    done = run(project, "python", f"stages/{stage}.py", check=False)
    assert done.returncode == 1
    assert done.stderr == "error: stand in the project's root and type python -m stages.NAME\n"


def test_a_stage_without_arguments_refuses_some(run, project):
    done = run(project, "python", "-m", "stages.evaluate", "learned", check=False)
    assert done.returncode == 2
    assert "unrecognized arguments: learned" in done.stderr
