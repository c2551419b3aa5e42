"""A program that is forked does what one that is started does."""

import shutil
import signal
import subprocess
import time

import psutil
import pytest

WHAT_IT_HAS = """
import os, sys
print(sys.argv, os.getcwd(), os.environ["OWN"], sys.stdin.read())
print({"stages", "tests"} & {*sys.modules})
print("and an error", file=sys.stderr)
sys.exit(3)
"""


@pytest.fixture
def python(run) -> str:
    """The path of the program that asks for a fork."""
    return run(".", "bash", "-c", "command -v python").stdout.strip()


@pytest.mark.parametrize("way", ["-c", "file"])
def test_it_has_the_arguments_folder_environment_and_streams_of_who_asks(python, tmp_path, way):
    (tmp_path / "file").write_text(WHAT_IT_HAS)
    command = ["-c", WHAT_IT_HAS] if way == "-c" else ["file"]
    ended = [
        subprocess.run(
            [program, *command, "a b"], cwd=tmp_path, env={"OWN": "mine"}, input="typed",
            capture_output=True, text=True,
        )
        for program in (python, shutil.which("python3"))
    ]  # fmt: skip
    forked, started = ((done.returncode, done.stdout, done.stderr) for done in ended)
    assert forked == started
    assert forked[1].endswith("mine typed\nset()\n")


def test_its_failure_its_signal_and_its_exit_message_are_told(run, tmp_path):
    ends = {
        "1 / 0": 1,
        "import os; os.kill(os.getpid(), 9)": -signal.SIGKILL,
        "raise SystemExit('no')": 1,
        "import atexit; atexit.register(print, 'end')": 0,
    }
    done = {code: run(tmp_path, "python", "-c", code, check=False) for code in ends}
    assert {code: of.returncode for code, of in done.items()} == ends
    assert [of.stderr.splitlines()[-1:] for of in done.values()] == [
        ["ZeroDivisionError: division by zero"], [], ["no"], [],
    ]  # fmt: skip
    assert [*done.values()][-1].stdout == "end\n"


def test_it_ends_when_who_asked_is_killed(python):
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    with subprocess.Popen([python, "-c", code], stdout=subprocess.PIPE, text=True) as client:
        fork = psutil.Process(int(client.stdout.readline()))
        client.kill()
    deadline = time.monotonic() + 60
    while fork.is_running():
        assert time.monotonic() < deadline
        time.sleep(0.05)
