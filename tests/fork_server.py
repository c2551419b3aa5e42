"""Starts Python programs at once: as forks of a process that has imported the packages they need.

What a stage of a small project takes is most of all to import TensorFlow, and what a command of
DVC takes is to import DVC. `start` makes a folder for PATH, whose `python` and `dvc` ask the
server for a fork that does what they would do: other arguments, environment, working directory and
standard streams, and only packages imported, nothing of this project. It ends when they are killed.
"""

import atexit
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import NoReturn

PACKAGES = (
    "numpy", "pandas", "pyarrow.csv", "pyarrow.parquet", "yaml", "tqdm", "h5py", "scipy.sparse",
    "sklearn.linear_model", "matplotlib.pyplot", "textalloc", "tensorflow", "keras", "polars",
    "pydantic", "requests", "dvc.cli.parser", "dvc.repo.experiments", "dvc_task.app", "celery",
    "celery.bin.worker", "celery.concurrency.solo",
)  # fmt: skip
CLIENT = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    request = json.dumps([sys.argv, os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(server, [len(request).to_bytes(4, "big")], [0, 1, 2])
    server.sendall(request)
    status = int(server.recv(8))
if status < 0:
    os.kill(os.getpid(), -status)
sys.exit(status)
"""


def start(folder: Path, until: int) -> None:
    """Start the server, to end with the process of number `until`; make its programs in folder."""
    folder.mkdir()
    address = str(folder / "socket")
    kept = {"KERAS_BACKEND": "tensorflow", "KERAS_HOME": str(folder), "MPLCONFIGDIR": str(folder)}
    server = subprocess.Popen(
        [sys.executable, __file__, address, str(until)], stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, env=os.environ | kept | {"TF_CPP_MIN_LOG_LEVEL": "2"},
    )  # fmt: skip
    for program in ("python", "dvc"):
        (folder / program).write_text(CLIENT.format(python=sys.executable, address=address))
        (folder / program).chmod(0o755)
    assert server.stdout.readline() == b"ready\n"


def serve(address: str, until: int) -> None:
    """Fork for each request, until a process ends."""
    for package in PACKAGES:
        import_module(package)
    gc.freeze()
    ended = os.pidfd_open(until)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(100)
        print("ready", flush=True)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while True:
            ready, _, _ = select.select([listener, ended], [], [])
            if ended in ready:
                return
            connection, _ = listener.accept()
            if not os.fork():
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                break
            connection.close()
    asked = watch(connection)
    connection.close()
    status: object = 0
    try:
        become(*asked)
    except SystemExit as end:
        status = end.code
    except BaseException:
        traceback.print_exc()
        status = 1
    leave(status)


def watch(connection: socket.socket) -> tuple[list[int], list[str], str, dict[str, str]]:
    """Wait for a fork and tell its client how it ended; return in the fork what it is to become."""
    size, streams, _, _ = socket.recv_fds(connection, 4, 3)
    with connection.makefile("rb") as file:
        request = json.loads(file.read(int.from_bytes(size, "big")))
    fork = os.fork()
    if not fork:
        return streams, *request
    ended = os.pidfd_open(fork)
    if ended not in select.select([ended, connection], [], [])[0]:
        os.kill(fork, signal.SIGKILL)  # the client is gone
    _, status = os.waitpid(fork, 0)
    connection.sendall(b"%d" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def become(
    streams: list[int], command: list[str], folder: str, environment: dict[str, str]
) -> None:
    """Do what the program of this command line does."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    program, *arguments = command
    sys.executable = str(Path(program).with_name("python"))
    if Path(program).name == "dvc":
        from dvc.cli import main

        sys.argv = command
        sys.exit(main())
    option, *sys.argv = arguments
    sys.path[:1] = [folder, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    if option == "-m":
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    elif option == "-c":
        code, sys.argv[0] = sys.argv[0], option
        sys.modules["__main__"] = main = ModuleType("__main__")
        exec(compile(code, "<string>", "exec"), vars(main))
    else:
        sys.path[0] = str(Path(folder, option).parent)
        sys.argv = arguments
        runpy.run_path(option, run_name="__main__")


def leave(status: object) -> NoReturn:
    """End as the interpreter does, but leave modules as they are: to clear them takes longest."""
    if status is not None and not isinstance(status, int):
        print(status, file=sys.stderr)
        status = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status or 0)


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
