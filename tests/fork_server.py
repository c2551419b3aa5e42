"""Starts Python programs at once: as forks of a process that has imported the packages they need.

What a stage of a small project takes is most of all to import TensorFlow, and what a command of
DVC takes is to import DVC. `start` makes a folder for PATH, whose `python` and `dvc` ask the
server for a fork that does what they would do: other arguments, environment, working directory and
standard streams, and only packages imported, nothing of this project. It ends when they are killed.
"""

import atexit
import gc
import marshal
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import NoReturn

PACKAGES = (
    "numpy", "pandas", "pyarrow.csv", "pyarrow.dataset", "pyarrow.parquet", "yaml", "tqdm", "h5py",
    "scipy.sparse", "sklearn.linear_model", "matplotlib.backends.backend_agg", "matplotlib.pyplot",
    "textalloc", "tensorflow", "keras", "polars", "pydantic.main", "pydantic.functional_validators",
    "requests", "markdown_it", "ruamel.yaml", "configobj", "networkx", "pygit2",
    "dulwich.porcelain", "dvc.cli.parser", "dvc.repo.open_repo", "dvc.repo.index",
    "dvc.repo.experiments", "dvc.repo.plots", "dvc_task.app", "celery", "celery.bin.celery",
    "celery.bin.worker", "celery.concurrency.solo",
)  # fmt: skip
CLIENT = """#!{python} -IS
import marshal, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    request = marshal.dumps([sys.argv, os.getcwd(), dict(os.environ)])
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
    kept["PYTHONPATH"] = ""  # each fork has its own
    server = subprocess.Popen(
        [sys.executable, __file__, address, str(until)], stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, env=os.environ | kept | {"TF_CPP_MIN_LOG_LEVEL": "2"},
    )  # fmt: skip
    for program in ("python", "dvc"):
        (folder / program).write_text(CLIENT.format(python=sys.executable, address=address))
        (folder / program).chmod(0o755)
    assert server.stdout.readline() == b"ready\n"


def serve(address: str, until: int) -> None:
    """Fork for each request, and tell its client how the fork ended, until a process ends."""
    for package in PACKAGES:
        import_module(package)
    gc.freeze()
    ended = os.pidfd_open(until)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(100)
        print("ready", flush=True)
        waited: dict[int, tuple[int, int, socket.socket]] = {}  # by either number of a file
        while True:
            ready, _, _ = select.select([listener, ended, *waited], [], [])
            if ended in ready:
                return
            for number in waited.keys() & ready:
                if number in waited:  # not if what has just been answered
                    answer(waited, number)
            if listener in ready:
                connection, _ = listener.accept()
                try:
                    asked = receive(connection)
                except (EOFError, OSError):  # it was killed before it had asked
                    connection.close()
                    continue
                fork = os.fork()
                if not fork:
                    break
                for stream in asked[0]:
                    os.close(stream)
                process = os.pidfd_open(fork)
                of = fork, process, connection
                waited |= {process: of, connection.fileno(): of}
    for number in {*waited, connection.fileno(), ended}:
        os.close(number)
    status: object = 0
    try:
        become(*asked)
    except SystemExit as end:
        status = end.code
    except BaseException:
        traceback.print_exc()
        status = 1
    leave(status)


def receive(connection: socket.socket) -> tuple[list[int], list[str], str, dict[str, str]]:
    """Read what a client asks for: streams, command line, working directory, environment."""
    size, streams, _, _ = socket.recv_fds(connection, 4, 3)
    with connection.makefile("rb") as file:
        request = marshal.loads(file.read(int.from_bytes(size, "big")))
    return streams, *request


def answer(waited: dict[int, tuple[int, int, socket.socket]], number: int) -> None:
    """Tell a client how its fork has ended, or end the fork of a client that is gone."""
    fork, process, connection = waited[number]
    if number != process:
        os.kill(fork, signal.SIGKILL)
    _, status = os.waitpid(fork, 0)
    with suppress(ConnectionError):
        connection.sendall(b"%d" % os.waitstatus_to_exitcode(status))
    del waited[process], waited[connection.fileno()]
    os.close(process)
    connection.close()


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
    sys.modules.pop("sitecustomize", None)  # of the server
    with suppress(ImportError):
        import_module("sitecustomize")  # as the interpreter does
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
