"""Run a grid of experiments through DVC's queue, then draw the learning curve of its points.

    python -m experiments.sweep -S train.samples=100,1000 -S model.head=flatten,mean -j 2

-S takes one value, which holds at every point, or several, which are swept. The standard grid, the
heads flatten, mean and conv at up to seven sizes that the train split allows, is added unless -S
names train.samples or model.head, or has several values of a parameter outside `download`. Nor is
it added to --setting, a file such as experiments/strong.yaml of what differs from params.yaml. A
single point prints its result. Points that can't run are named before any is queued, and left out.

Every point is an ordinary DVC experiment; one that fails leaves its log, the others go on, and the
exit status is 1. Interrupted, the workers go on: `dvc queue stop --kill` ends them, and the same
command again takes from the cache what has finished.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from tempfile import TemporaryFile, mkdtemp

from dvc.config import Config
from tqdm import tqdm

# Ray sends this module to nodes as it is: only what is installed there may be imported above.
SIZE = "train.samples"
POLL_SECONDS = 5
STATES = ("Queued", "Running", "Success", "Failed")
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
    """Name DVC's cache by ASCII characters alone: with others DVC can't set up what it queues.

    Returns what to add to the environment. Workers go on with it, so nothing is removed.
    """
    command = ["dvc", "cache", "dir"]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True)
    path = done.stdout.strip()
    if done.returncode or path.isascii():
        return {}
    folder = Path(mkdtemp(prefix="dvc-sweep-"))
    (folder / "cache").symlink_to(path)
    with suppress(FileNotFoundError):
        shutil.copy(Path(Config.get_dir("global")) / Config.CONFIG, folder / Config.CONFIG)
    own = {"DVC_GLOBAL_CONFIG_DIR": str(folder)}
    command += ["--global", str(folder / "cache")]
    subprocess.run(command, env=environment() | own, check=True, stdout=subprocess.DEVNULL)
    return own


def dvc(*arguments: str) -> str:
    """Run DVC; returns what it prints. Workers of the queue inherit the environment."""
    own = environment() | ascii_cache()
    # The queue's workers keep what they were given to write to: the end of a pipe would be theirs.
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


def queue(values: list[str]) -> str:
    """Put an experiment with these values of parameters into DVC's queue; returns its name."""
    said = dvc("exp", "run", "--queue", *options(values))
    return re.search("Queued experiment '(.+?)'", said)[1]


def states() -> dict[str, tuple[str, str]]:
    """The short id and the state of each experiment of the queue, by its name."""
    lines = dvc("queue", "status").splitlines()
    found = (re.match(rf"(\w{{7}})\s+(\S+)\s.*\b({'|'.join(STATES)})\b", line) for line in lines)
    return {match[2]: (match[1], match[3]) for match in found if match}


def wait(names: list[str]) -> dict[str, str]:
    """Show how many of these experiments have ended until all have; returns failed tasks' ids.

    What was taken out of the queue meanwhile counts as failed.
    """
    with tqdm(total=len(names), desc="sweep", unit="point", smoothing=0) as bar:
        while True:
            now = states()
            of = {name: now.get(name, ("", "Failed")) for name in names}
            count = Counter(state for _, state in of.values())
            bar.n = count["Success"] + count["Failed"]
            bar.set_postfix(running=count["Running"], failed=count["Failed"])
            if bar.n == len(names):
                return {name: task for name, (task, state) in of.items() if state == "Failed"}
            time.sleep(POLL_SECONDS)


def number_of(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


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
        for values in tqdm(points, desc="queue", unit="point"):
            names.append(queue(values))
        started = True
        dvc("queue", "start", "--jobs", str(jobs))
        failed = wait(names)
    except KeyboardInterrupt:
        sys.exit(f"interrupted: {AFTER_START if started else BEFORE_START}")
    for name, task in sorted(failed.items()):
        log = f"dvc queue logs {task} shows why" if task else "it was taken out of the queue"
        print(f"{task or name} failed: {log}", file=sys.stderr)
    return [None if name in failed else name for name in names]


def positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise ValueError
    return number


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.sweep", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument(
        "-S", "--set-param", action="append", default=[], metavar="KEY=V1,V2",
        help="value or values of a parameter",
    )  # fmt: skip
    parser.add_argument("--setting", type=Path, help="YAML file of what differs from params.yaml")
    parser.add_argument("-j", "--jobs", type=positive, default=2, help="points at a time")
    parser.add_argument(
        "--over", help="the parameter to draw over; else train.samples, or what else is swept"
    )
    parser.add_argument(
        "--panel", default="", help="with a panel for each value, beside what else is swept"
    )
    parser.add_argument("--out", type=Path, help="folder of the curve; else one of its own name")
    parser.add_argument("--ray", metavar="ADDRESS", help="run on a Ray cluster; auto: the one here")
    parser.add_argument("--cpus", type=float, default=1, help="with --ray: of a point")
    parser.add_argument("--memory", type=float, default=2, help="with --ray: of a point, in GiB")
    parser.add_argument("--gpus", type=float, default=0, help="with --ray: of a point")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    if arguments.ray and not find_spec("ray"):
        sys.exit("error: --ray needs Ray: pip install -r requirements-ray.txt")
    from experiments import points

    setting = points.read_setting(arguments.setting) if arguments.setting else []
    grid, n_refused = points.plan(setting, arguments.set_param)
    axes = {*map(key_of, arguments.set_param), *points.GRID}
    swept = [key for key in points.varying(grid) if key in axes]
    swept = [key for key in swept if not key.startswith("download.reviews.")]
    over = arguments.over or next((key for key in (SIZE, *swept) if key in swept), SIZE)
    panels = [key for key in (*arguments.panel.split(","), *swept) if key and key != over]
    points.check_keys(grid[0], [over, *panels])
    if arguments.ray:
        from experiments import ray_sweep

        share = (arguments.cpus, arguments.memory, arguments.gpus)
        names = ray_sweep.run(grid, arguments.ray, *share)
    else:
        names = [name for name in run_queue(grid, arguments.jobs) if name]
    options = {"--over": over, "--panel": ",".join(dict.fromkeys(panels)), "--out": arguments.out}
    options["--setting"] = arguments.setting and arguments.setting.stem
    given = [*chain.from_iterable((key, str(v)) for key, v in options.items() if v)]
    command = [sys.executable, "-m", "experiments.learning_curve", *given, "--", *names]
    drawn = bool(names) and not subprocess.call(command)
    sys.exit(1 if n_refused or len(names) < len(grid) or not drawn else 0)


if __name__ == "__main__":
    from stages.shared.errors import run

    run(main)
