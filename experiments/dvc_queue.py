"""DVC's queue as the tools use it: experiments are put in, run, and waited for.

Values of parameters are written as `dvc exp run --set-param` takes them.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from itertools import chain
from pathlib import Path
from tempfile import TemporaryFile, mkdtemp
from typing import TYPE_CHECKING

import psutil
import yaml
from dvc.config import Config
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.utils.cli_parse import to_path_overrides
from scmrepo.exceptions import SCMError
from tqdm import tqdm

from stages.shared.integrity import LOCK

if TYPE_CHECKING:
    from dvc.repo.experiments.queue.celery import LocalCeleryQueue

# Ray sends this module to nodes as it is: only what is installed there may be imported above.
POLL_SECONDS = 5
BEFORE_START = "no point was started; dvc queue remove --queued takes out what was queued"
AFTER_START = (
    "DVC's workers go on; dvc queue stop --kill ends them, and the same command again takes from"
    " the cache what has finished"
)


def environment() -> dict[str, str]:
    """This process's environment, with its interpreter's programs first on PATH."""
    return os.environ | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    }


@cache
def ascii_cache() -> dict[str, str]:
    """Give DVC's cache a path of ASCII characters: without, DVC can't set up what it queues.

    Returns what to add to the environment. Workers go on using it, so it is never removed.
    """
    with opened() as waiting:
        path = waiting.repo.cache.local.path
    if path.isascii():
        return {}
    folder = Path(mkdtemp(prefix="dvc-sweep-"))
    (folder / "cache").symlink_to(path)
    with suppress(FileNotFoundError):
        shutil.copy(Path(Config.get_dir("global")) / Config.CONFIG, folder / Config.CONFIG)
    own = {"DVC_GLOBAL_CONFIG_DIR": str(folder)}
    command = ["dvc", "cache", "dir", "--global", str(folder / "cache")]
    subprocess.run(command, env=environment() | own, check=True, stdout=subprocess.DEVNULL)
    return own


def dvc(*arguments: str) -> str:
    """Run DVC; returns what it prints. Workers of the queue inherit the environment."""
    own = environment() | ascii_cache()
    # The queue's workers keep the output open: a pipe would not end before they do.
    with TemporaryFile("w+") as out, TemporaryFile("w+") as err:
        status = subprocess.call(["dvc", *arguments], env=own, stdout=out, stderr=err)
        for file in (out, err):
            file.seek(0)
        if status:
            said = re.findall("ERROR: (.+)", text := err.read()) or text.split("\n")[-2:]
            sys.exit(f"error: dvc {arguments[0]}: {' '.join(said[0].split())}"[:300])
        return out.read()


def key_of(setting: str) -> str:
    """Name the parameter that a `--set-param` sets."""
    return setting.partition("=")[0].lstrip("+")


def options(values: list[str]) -> list[str]:
    """Write values of parameters as options of `dvc exp run`."""
    return [*chain.from_iterable(("--set-param", value) for value in values)]


@contextmanager
def opened() -> Iterator["LocalCeleryQueue"]:
    """Open DVC's queue; exits with a line where DVC can't."""
    try:
        with Repo() as repo:
            yield repo.experiments.celery_queue
    except (DvcException, SCMError) as error:
        sys.exit(f"error: dvc queue: {' '.join(str(error).split())}"[:300])


def queue(values: list[str]) -> str:
    """Put an experiment with these values of parameters into DVC's queue; returns its name.

    It is what `dvc exp run --queue` does, which takes a second of a core to start.
    """
    with opened() as waiting:
        params = to_path_overrides(values)
        return waiting.repo.experiments.queue_one(waiting, params=params).name


def states() -> dict[str, tuple[str, str]]:
    """The short id and the state of each experiment of the queue, by its name.

    It is what `dvc queue status` shows. That takes a second of a core each time, and asks the
    workers too.
    """
    with opened() as waiting:
        return {row["name"]: (row["rev"][:7], row["status"]) for row in waiting.status()}


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:  # there is none, or its number is that of another user's by now
        return False


def is_deserted() -> bool:
    """Whether the queue's workers are gone, and the processes of what they had begun.

    It asks for processes: workers that have much to do answer late.
    """
    with opened() as waiting:
        files = Path(waiting.wdir).glob("dvc-exp-worker-*.json")
        pids = [json.loads(file.read_text("utf-8"))["pid"] for file in files]
        begun = [waiting.proc.get(entry.stash_rev) for entry in waiting.iter_active()]
        pids += [process.pid for process in begun if process]
    return not any(map(is_alive, pids))


def revive(jobs: int) -> None:
    """Start workers again, once those that were at work are gone.

    A worker that finds the queue empty ends. It takes no notice of what is queued meanwhile, or
    takes it and ends all the same: that is queued again. Of a worker that was killed, what had
    ended by itself is collected, as it would have done; what had not would be "Running" for good,
    and is a failure.
    """
    from dvc.repo.experiments.queue.tasks import collect_exp, run_exp  # Celery: a fifth of a second

    with opened() as waiting:
        taken = {entry.stash_rev: entry for entry in waiting.iter_active()}
        for message in [*waiting.celery.iter_processed()]:
            (content, *_), *_ = message.decode()
            entry = taken.get(content["stash_rev"])
            if not entry:
                continue
            try:
                collect_exp({}, entry.asdict())
            except FileNotFoundError:  # nothing of it had been set up
                waiting.celery.purge(message.delivery_tag)
                waiting.celery.signature(run_exp.s(content)).delay()
            else:  # DVC's `kill` does so only once the system has forgotten the process
                waiting.celery.backend.mark_as_failure(message.headers["id"], None)
    dvc("queue", "start", "--jobs", str(jobs))


def wait(names: list[str], jobs: int) -> dict[str, str]:
    """Show how many of these experiments have ended until all have; returns failed tasks' ids.

    What was taken out of the queue meanwhile counts as failed: what is missing twice in a row, for
    DVC lists what runs before what waits, and misses what a worker takes in between. Where nothing
    changes, and nobody is found at work twice in a row, workers are started again.
    """
    now = dict.fromkeys(names, ("", ""))
    n_same = n_deserted = 0
    with tqdm(total=len(names), desc="sweep", unit="point", smoothing=0) as bar:
        while True:
            before, now = now, states()
            of = {n: now.get(n, ("", "Running" if n in before else "Failed")) for n in names}
            count = Counter(state for _, state in of.values())
            bar.n = count["Success"] + count["Failed"]
            bar.set_postfix(running=count["Running"], failed=count["Failed"])
            if bar.n == len(names):
                return {name: task for name, (task, state) in of.items() if state == "Failed"}
            n_same = n_same + 1 if now == before else 0
            n_deserted = n_deserted + 1 if n_same > 1 and is_deserted() else 0
            if n_deserted > 1:
                revive(jobs)
                n_same = n_deserted = 0
            time.sleep(POLL_SECONDS)


def number_of(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def uncached(root: Path | str = ".") -> list[str]:
    """Name the stages that make a folder of which others depend on a part, if DVC's cache lacks it.

    In an experiment DVC looks into the folder that dvc.lock names, even if another takes its place
    there, and where the cache lacks it, what depends on a part fails when it comes from the cache.
    """
    lock = Path(root) / LOCK
    if not lock.exists():
        return []
    stages = yaml.safe_load(lock.read_text("utf-8"))["stages"].items()
    needed = {str(parent) for _, of in stages for dep in of.get("deps", ())
              for parent in Path(dep["path"]).parents}  # fmt: skip
    files = Path(Repo(str(root)).cache.local.path)
    return [
        name
        for name, of in stages
        for out in of.get("outs", ())
        if out["path"] in needed and not (files / out["md5"][:2] / out["md5"][2:]).exists()
    ]


def run_queue(points: list[list[str]], jobs: int) -> list[str | None]:
    """Run points through DVC's queue, so many at a time; returns their names, None if one failed.

    Says which have failed, and exits with a line if interrupted.
    """
    others = [name for name, (_, state) in states().items() if state == "Queued"]
    if others:
        print(
            f"the queue holds {number_of(len(others), 'other experiment')}, which will run too"
            f" ({', '.join(others[:3])}{', …' * (len(others) > 3)}):"
            " dvc queue remove --queued takes out what waits",
            file=sys.stderr,
        )
    names, started = [], False
    try:
        for stage in uncached():
            dvc("repro", "--quiet", stage)
        for values in tqdm(points, desc="queue", unit="point"):
            names.append(queue(values))
        started = True
        dvc("queue", "start", "--jobs", str(jobs))
        failed = wait(names, jobs)
    except KeyboardInterrupt:
        sys.exit(f"interrupted: {AFTER_START if started else BEFORE_START}")
    for name, task in sorted(failed.items()):
        log = f"dvc queue logs {task} shows why" if task else "it was taken out of the queue"
        print(f"{task or name} failed: {log}", file=sys.stderr)
    return [None if name in failed else name for name in names]


if __name__ == "__main__":  # it is a part of the others
    print(__doc__)
