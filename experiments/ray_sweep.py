"""Run the points of a sweep on a Ray cluster: experiments.sweep --ray.

Every point is a Ray task. It runs `dvc exp run` in a workspace of its own on a node with room,
pushes what was made to the DVC remote, and gives the experiment back as a Git bundle, which is
fetched at once. Where a task runs, what it gets and whether it is tried again is Ray's; that points
share a node's clone, cache and first stages is here.
"""

import contextlib
import fcntl
import hashlib
import io
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

# By default, Ray tries a task again for ever if its memory monitor has killed it.
os.environ.setdefault("RAY_task_oom_retries", "3")
import ray
from dvc.config import Config
from dvc.exceptions import DvcException
from dvc.repo import Repo
from tqdm import tqdm

from experiments import dvc_queue
from stages.shared.text import without_secrets

SHARED = "embed"  # the last of the stages whose work points have in common
OWN = ("model.", "train.", "variants.")  # parameters that no stage up to SHARED reads
RETRIES = 3  # of a point whose node or process was killed, or that Git failed
WAITS = (1, 2, 4, 8, 16, 30, 60, 60, 60, 60)  # seconds between attempts to push
LOG_LINES = 12
SECRET = "key|secret|token|password|credential|connection_string|header"  # options of a remote
KILLED = r"exited with (-9|137)"  # what DVC says of a stage that the kernel took for its memory
BAR = r"[^\r\n]*%\|[^\]\r\n]*\]?"  # of tqdm; DVC goes on in the line of a killed stage's bar
# Read to its end, a pipe says that the process which holds the other end is gone.
WATCH = 'exec 3<&0; { read -r _ <&3 || kill -KILL -- "-$0"; } >/dev/null 2>&1 &'


class Source(NamedTuple):
    """What a node must know of the user's repository."""

    commit: str
    bundle: bytes  # Git's, of the commit
    remote: tuple[str, dict[str, str]]  # name and DVC's configuration of it, with its keys
    identity: tuple[str, str]  # name and address that the experiments are committed with


class Outcome(NamedTuple):
    """What became of a point; `experiment` is a Git bundle, None if the point failed."""

    node: str
    ran: list[str]  # stages, each as often as it was run and not taken from the cache
    experiment: bytes | None
    log: str


def git(root: Path | str, *arguments: str) -> bytes:
    """Run Git in a folder; returns what it prints. Raises RuntimeError with what it says."""
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True)
    if done.returncode:
        raise RuntimeError(f"git {arguments[0]}: {done.stderr.decode().strip()}")
    return done.stdout


def name_of(commit: str, settings: list[str]) -> str:
    """Name the experiment of these values at a commit: the same for the same, in any order."""
    values = sorted({dvc_queue.key_of(setting): setting for setting in settings}.values())
    return f"point-{hashlib.sha256(repr((commit, values)).encode()).hexdigest()[:12]}"


def read_source() -> Source:
    """Read what nodes need from the repository; exits with a line if it can't be run elsewhere."""
    changed = git(".", "diff", "--name-only", "HEAD").decode().split()
    if changed:
        sys.exit(f"error: nodes run what is committed, and {', '.join(changed[:3])} differs")
    config = Repo().config
    name = config["core"].get("remote")
    if not name:
        sys.exit("error: nodes share by a DVC remote: dvc remote add --default NAME URL")
    remote = {option: str(value) for option, value in config["remote"][name].items()}
    identity = [
        git(".", "config", "--default", "sweep", "--get", option).decode().strip()
        for option in ("user.name", "user.email")
    ]
    commit = git(".", "rev-parse", "HEAD").decode().strip()
    bundle = git(".", "bundle", "create", "--quiet", "-", "HEAD")
    return Source(commit, bundle, (name, remote), tuple(identity))


@contextlib.contextmanager
def locked(path: Path, wait: bool = True) -> Iterator[None]:
    """Hold a lock that is given back even if this process is killed.

    Raises BlockingIOError if another has it and we don't wait.
    """
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield


def node_folder() -> Path:
    """The folder in which this node keeps clones, workspaces and DVC's cache."""
    folder = Path(tempfile.gettempdir()) / f"dvc-sweep-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)  # a workspace holds the keys of the remote
    (folder / "workspaces").mkdir(exist_ok=True)
    return folder


def clone(source: Source, folder: Path) -> Path:
    """Clone the user's commit, once on this node."""
    target, partial = folder / source.commit, folder / "partial"
    with locked(folder / "clone.lock"):
        if not target.exists():
            shutil.rmtree(partial, ignore_errors=True)
            with tempfile.NamedTemporaryFile() as bundle:
                bundle.write(source.bundle)
                bundle.flush()
                git(folder, "clone", "--quiet", "--no-checkout", bundle.name, partial.name)
            partial.rename(target)
    return target


@contextlib.contextmanager
def workspace(source: Source, name: str) -> Iterator[Path]:
    """A clone in which this point alone runs; removed afterwards, and after attempts killed."""
    folder = node_folder()
    origin = clone(source, folder)
    point = folder / "workspaces" / name
    with locked(point.with_suffix(".lock")):
        for lock in point.parent.glob("*.lock"):
            with contextlib.suppress(BlockingIOError), locked(lock, wait=False):
                shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
        shutil.rmtree(point, ignore_errors=True)
        point.mkdir(exist_ok=True)
        # Each attempt has its own: what a killed one started may still write into the earlier one.
        path = Path(tempfile.mkdtemp(dir=point))
        git(folder, "clone", "--quiet", "--shared", str(origin), str(path))
        for option, value in zip(("user.name", "user.email"), source.identity, strict=True):
            git(path, "config", option, value)
        remote, options = source.remote
        with Config(str(path / ".dvc")).edit("local") as config:
            config["cache"] = {"dir": str(folder / "cache")}
            config["core"] = {"remote": remote}
            config["remote"] = {remote: options}
        try:
            yield path
        finally:
            shutil.rmtree(point, ignore_errors=True)


def dvc(root: Path, *arguments: str) -> bool:
    """Run DVC in a workspace, its words added to the workspace's log; tells whether it succeeded.

    It ends with this process, however that ends, and all that it has started with it.
    """
    (root / ".dvc/tmp").mkdir(exist_ok=True)
    own = {"DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(root / ".dvc/tmp/site")}
    with (root / ".dvc/tmp/log").open("ab") as log:
        process = subprocess.Popen(
            ["dvc", *arguments], cwd=root, env=dvc_queue.environment() | own,
            start_new_session=True, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
    watch = ["sh", "-c", WATCH, str(process.pid)]
    watcher = subprocess.Popen(watch, stdin=subprocess.PIPE, start_new_session=True)
    try:
        status = process.wait()
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
        watcher.communicate(b"\n")
    if status == -signal.SIGKILL:
        raise RuntimeError("dvc was killed")
    return status == 0


def read_log(root: Path, options: dict[str, str]) -> str:
    """Read what DVC has said in a workspace, without keys and without progress bars."""
    log = (root / ".dvc/tmp/log").read_text(errors="replace")
    for option, value in options.items():
        if value and re.search(SECRET, option):
            log = log.replace(value, "***")
    log = re.sub(r"//[^/@\s]+@", "//***@", log)
    log = re.sub(BAR, "", log)
    return "\n".join(line for line in log.splitlines() if line.strip())


def tail(text: str) -> str:
    """Take the last lines of a text."""
    return "\n".join(text.splitlines()[-LOG_LINES:])


def run_shared(root: Path, commit: str, settings: list[str]) -> bool:
    """Run what this point shares with others, unless this node has: one point at a time."""
    folder = node_folder()
    common = [setting for setting in settings if not dvc_queue.key_of(setting).startswith(OWN)]
    done = folder / f"{name_of(commit, common)}.shared"
    with locked(folder / "shared.lock"):
        if done.exists():
            return True
        dvc(root, "fetch")  # what the remote lacks is computed
        for stage in dvc_queue.uncached(root):
            dvc(root, "repro", stage)
        succeeded = dvc(root, "exp", "run", *dvc_queue.options(common), SHARED)
        git(root, "reset", "--hard", "--quiet")
        # If Git does not keep it: DVC writes independent stages to it in any order.
        git(root, "clean", "--force", "--quiet", "--", "dvc.lock")
        if succeeded:
            done.touch()
        return succeeded


def push(root: Path) -> bool:
    """Push what the workspace has made; a remote that can't be reached is waited for."""
    for seconds in WAITS:
        if dvc(root, "push"):
            return True
        time.sleep(seconds)
    return dvc(root, "push")


def ref_of(commit: str, name: str) -> str:
    """Name the Git reference under which DVC keeps an experiment on a commit."""
    return f"refs/exps/{commit[:2]}/{commit[2:]}/{name}"


def run_point(source: Source, name: str, settings: list[str]) -> Iterator[Outcome | None]:
    """Run a point on this node: yields None as it starts, then what became of it.

    Raises RuntimeError if a stage or DVC was killed or Git failed: Ray tries the point again.
    """
    yield None
    experiment = None
    with workspace(source, name) as root:
        succeeded = (
            run_shared(root, source.commit, settings)
            and dvc(root, "exp", "run", "--name", name, *dvc_queue.options(settings))
            and push(root)
        )
        log = read_log(root, source.remote[1])
        if succeeded:
            ref = ref_of(source.commit, name)
            experiment = git(root, "bundle", "create", "--quiet", "-", ref, f"^{source.commit}")
        elif re.search(KILLED, log):
            raise RuntimeError(tail(log))
    node = f"{socket.gethostname()} {ray.get_runtime_context().get_node_id()[:8]}"
    yield Outcome(node, re.findall("Running stage '(.+?)'", log), experiment, tail(log))


def failure(name: str, settings: list[str], log: str) -> str:
    """Say that a point failed, with its values and its log, the secrets of URLs hidden."""
    return f"{name} ({' '.join(map(without_secrets, settings))}) failed:\n{without_secrets(log)}"


def finished(commit: str) -> set[str]:
    """The experiments that the repository has on a commit."""
    prefix = ref_of(commit, "")
    listed = git(".", "for-each-ref", "--format=%(refname)", prefix).decode().split()
    return {ref.removeprefix(prefix) for ref in listed}


def fetch(experiment: bytes, ref: str) -> None:
    """Add an experiment to the repository; from another sweep it may be there already."""
    with tempfile.NamedTemporaryFile() as bundle:
        bundle.write(experiment)
        bundle.flush()
        git(".", "fetch", "--quiet", "--no-write-fetch-head", bundle.name, f"+{ref}:{ref}")


def connect(address: str) -> None:
    """Connect to a cluster; nodes get this module with the tasks, and need not have it."""
    try:
        ray.init(address, log_to_driver=False, logging_level="ERROR")
    except ConnectionError as error:
        sys.exit(f"error: no Ray cluster at {address}: {str(error).splitlines()[0]}")
    for module in (dvc_queue, sys.modules[__name__]):
        ray.cloudpickle.register_pickle_by_value(module)


def follow(waiting: dict[ray.ObjectRefGenerator, str], done: int) -> Iterator[tuple[str, Outcome]]:
    """Show how far the points are until all have ended; yields each as it ends."""
    running, failed, total = set(), 0, done + len(waiting)
    with tqdm(total=total, initial=done, desc="sweep", unit="point", smoothing=0) as bar:
        while waiting:
            for generator in ray.wait([*waiting], timeout=dvc_queue.POLL_SECONDS)[0]:
                name = waiting[generator]
                try:
                    outcome = ray.get(next(generator))
                except ray.exceptions.RayError as error:
                    said = str(getattr(error, "cause", error)).splitlines()[:LOG_LINES]
                    outcome = Outcome(
                        "", [], None, "\n".join([*said, f"tried {1 + RETRIES} times"])
                    )
                if outcome is None:
                    running.add(name)
                    continue
                del waiting[generator]
                running.discard(name)
                failed += outcome.experiment is None
                yield name, outcome
                bar.update()
            nodes = sum(node["Alive"] for node in ray.nodes())
            bar.set_postfix(running=len(running), failed=failed, nodes=nodes)


def run(
    points: list[list[str]], address: str, cpus: float, memory: float, gpus: float
) -> list[str | None]:
    """Run points on a cluster, each a task with so many CPUs, GiB of memory and GPUs.

    Points that the repository has already are not run again. Exits with a line if interrupted.
    Returns the points' names, None of one that has not finished now or before.
    """
    source = read_source()
    connect(address)
    commit = source.commit
    names = [name_of(commit, settings) for settings in points]
    missing = dict(zip(names, points, strict=True))
    n_points = len(missing)
    for name in finished(commit):
        missing.pop(name, None)
    task = ray.remote(
        num_cpus=cpus, memory=int(memory * 2**30), num_gpus=gpus, num_returns="streaming",
        max_retries=RETRIES, retry_exceptions=True,
    )(run_point)  # fmt: skip
    stored = ray.put(source)
    waiting = {task.remote(stored, name, settings): name for name, settings in missing.items()}
    ran, failed = defaultdict(Counter), {}
    try:
        # Ray's threads print pages when a node is lost; the number of nodes is shown instead.
        with contextlib.redirect_stdout(io.StringIO()):
            for name, outcome in follow(waiting, n_points - len(missing)):
                if outcome.ran:
                    ran[outcome.node].update(outcome.ran)
                if outcome.experiment is None:
                    failed[name] = outcome.log
                else:
                    fetch(outcome.experiment, ref_of(commit, name))
    except KeyboardInterrupt:
        left = dvc_queue.number_of(len(waiting), "point")
        sys.exit(f"interrupted: {left} left, which the same command again runs")
    finally:
        ray.shutdown()
    for node, count in sorted(ran.items()):
        print(f"{node} ran", ", ".join(f"{stage} {n}" for stage, n in sorted(count.items())))
    for name, log in failed.items():
        print(failure(name, missing[name], log), file=sys.stderr)
    remote, options = source.remote  # for a revision, DVC resolves a relative URL wrongly
    config = {"core": {"remote": remote}, "remote": {remote: options}}
    refs = [ref_of(commit, name) for name in dict.fromkeys(names) if name not in failed]
    try:
        Repo().fetch(revs=refs, workspace=False, config=config)
    except DvcException as error:
        print(f"artifacts are left in the remote, for dvc pull: {error}", file=sys.stderr)
    return [None if name in failed else name for name in names]


if __name__ == "__main__":  # it is a part of the others
    print(__doc__)
