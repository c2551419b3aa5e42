"""Run a grid of experiments through DVC's queue, then draw the learning curve.

    python -m experiments.sweep -S train.samples=100,1000 -S model.head=flatten,mean -j 2

Without -S it runs the standard grid; with --setting, what a file such as experiments/strong.yaml
makes other than params.yaml, at each point of the grid that -S gives, or as the one point. Every
point is an ordinary DVC experiment; one that fails leaves its log, the others go on, and the exit
status is 1. Interrupted, the workers go on: `dvc queue stop --kill` ends them, and the same command
again runs only what is not in the cache.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from importlib.util import find_spec
from itertools import chain, product
from pathlib import Path
from tempfile import TemporaryFile

import yaml
from tqdm import tqdm

STANDARD = ["train.samples=100,200,500,1000,2000,5000,10000", "model.head=flatten,mean,conv"]
POLL_SECONDS = 5
STATES = ("Queued", "Running", "Success", "Failed")


def environment() -> dict[str, str]:
    """This process's environment, with its interpreter's programs first on PATH."""
    return os.environ | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    }


def dvc(*arguments: str) -> str:
    """Run DVC; returns what it prints. Workers of the queue inherit the environment."""
    # The queue's workers keep what they were given to write to: the end of a pipe would be theirs.
    with TemporaryFile("w+") as out, TemporaryFile("w+") as err:
        status = subprocess.call(["dvc", *arguments], env=environment(), stdout=out, stderr=err)
        for file in (out, err):
            file.seek(0)
        if status:
            sys.exit(f"dvc {' '.join(arguments)}\n{err.read().strip()}")
        return out.read()


def flat(content: dict, prefix: str = "") -> dict[str, object]:
    """Name each value of a nested mapping by its dotted key."""
    pairs = {}
    for key, value in content.items():
        name = f"{prefix}{key}"
        pairs |= flat(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return pairs


def read_setting(path: Path) -> list[str]:
    """Read a file of parameters as `--set-param` takes them; ++ adds what params.yaml lacks."""
    return [
        f"++{key}={json.dumps(value)}"
        for key, value in flat(yaml.safe_load(path.read_text())).items()
    ]


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


def states() -> dict[str, str]:
    """The state of each task of the queue, by its short id."""
    lines = dvc("queue", "status").splitlines()
    found = (re.match(rf"(\w{{7}})\b.*\b({'|'.join(STATES)})\b", line) for line in lines)
    return {match[1]: match[2] for match in found if match}


def wait(tasks: set[str]) -> dict[str, str]:
    """Show how many of these tasks have ended until all have; returns their states."""
    with tqdm(total=len(tasks), desc="sweep", unit="point", smoothing=0) as bar:
        while True:
            now = {task: state for task, state in states().items() if task in tasks}
            count = Counter(now.values())
            bar.n = count["Success"] + count["Failed"]
            bar.set_postfix(running=count["Running"], failed=count["Failed"])
            if bar.n == len(tasks):
                return now
            time.sleep(POLL_SECONDS)


def run_queue(points: list[list[str]], jobs: int) -> int:
    """Run points through DVC's queue, so many at a time; say which have failed, return how many."""
    before = {*states()}
    for values in tqdm(points, desc="queue", unit="point"):
        queue(values)
    dvc("queue", "start", "--jobs", str(jobs))
    ended = wait({*states()} - before)
    failed = sorted(task for task, state in ended.items() if state == "Failed")
    for task in failed:
        print(f"{task} failed: dvc queue logs {task} shows why", file=sys.stderr)
    return len(failed)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.sweep", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument(
        "-S", "--set-param", action="append", metavar="KEY=V1,V2", help="values of a parameter"
    )
    parser.add_argument("--setting", type=Path, help="YAML file of what differs from params.yaml")
    parser.add_argument("-j", "--jobs", type=int, default=2, help="points at a time")
    parser.add_argument("--over", default="train.samples", help="passed to learning_curve")
    parser.add_argument("--panel", default="model.head", help="passed to learning_curve")
    parser.add_argument("--ray", metavar="ADDRESS", help="run on a Ray cluster; auto: the one here")
    parser.add_argument("--cpus", type=float, default=1, help="with --ray: of a point")
    parser.add_argument("--memory", type=float, default=2, help="with --ray: of a point, in GiB")
    parser.add_argument("--gpus", type=float, default=0, help="with --ray: of a point")
    arguments = parser.parse_args()
    if arguments.setting and not arguments.setting.is_file():
        sys.exit(f"error: --setting {arguments.setting} is not a file")
    setting = read_setting(arguments.setting) if arguments.setting else []
    standard = [] if setting else STANDARD
    axes = [entry.partition("=") for entry in arguments.set_param or standard]
    grid = list(product(*(values.split(",") for _, _, values in axes)))
    points = [
        setting + [f"{key}={value}" for (key, _, _), value in zip(axes, point, strict=True)]
        for point in grid
    ]
    if arguments.ray:
        if not find_spec("ray"):
            sys.exit("error: --ray needs Ray: pip install -r requirements-ray.txt")
        from experiments import ray_sweep

        share = (arguments.cpus, arguments.memory, arguments.gpus)
        failed = ray_sweep.run(points, arguments.ray, *share)
    else:
        failed = run_queue(points, arguments.jobs)
    curve = ["--over", arguments.over, "--panel", arguments.panel]
    command = [sys.executable, "-m", "experiments.learning_curve", *curve]
    drawn = len(points) == 1 or not subprocess.call(command)
    sys.exit(1 if failed or not drawn else 0)


if __name__ == "__main__":
    main()
