"""Run a grid of experiments through DVC's queue, then draw the learning curve of its points.

    python -m experiments.sweep -S train.samples=100,1000 -S model.head=flatten,mean -j 2

-S takes one value, which holds at every point, or several, which are swept. The standard grid, the
heads flatten, mean and conv at up to seven sizes that the train split allows, is added unless -S
names train.samples or model.head, or has several values of a parameter outside `download`. Nor is
it added to --setting, a file such as experiments/strong.yaml of what differs from params.yaml. A
single point prints its result. Points that can't run are named before any is queued, and left out.

--until 0.01 runs a point again with twice the draws, up to --max-draws, until all its gaps in
accuracy to `learned` have a 95 % interval of at most ± 0.01.

Every point is an ordinary DVC experiment; one that fails leaves its log, the others go on, and the
exit status is 1. Interrupted, the workers go on: `dvc queue stop --kill` ends them, and the same
command again takes from the cache what has finished.
"""

import argparse
import os
import subprocess
import sys
from functools import partial
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

from experiments import points
from experiments.dvc_queue import key_of, run_queue
from experiments.more_draws import run_until
from experiments.runs import METRICS, REPEATS
from stages.shared.errors import run

SIZE = "train.samples"


def positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise ValueError
    return number


def new_folder(text: str) -> Path:
    """Take a folder that is there or can be made, before what fills it has taken its time."""
    path = Path(text)
    there = next(place for place in (path, *path.absolute().parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise argparse.ArgumentTypeError(f"{there} is no folder that can be written to")
    return path


def share(text: str) -> float:
    if not 0 < (number := float(text)) < 1:
        raise ValueError
    return number


def on_ray(
    grid: list[list[str]], address: str, cpus: float = 1, memory: float = 2, gpus: float = 0
) -> list[str | None]:
    """Run points on a Ray cluster; returns their names, None if one failed."""
    if not find_spec("ray"):
        sys.exit("error: --ray needs Ray: pip install -r requirements-ray.txt")
    from experiments import ray_sweep

    return ray_sweep.run(grid, address, cpus, memory, gpus)


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
        "--until", type=share, metavar="0.01",
        help="add draws until the 95 %% interval of every gap in accuracy is at most ± this",
    )  # fmt: skip
    parser.add_argument(
        "--max-draws", type=positive, default=40, help="with --until: of a point; else 40"
    )
    parser.add_argument(
        "--over", help="the parameter to draw over; else train.samples, or what else is swept"
    )
    parser.add_argument(
        "--panel", default="", help="with a panel for each value, beside what else is swept"
    )
    parser.add_argument("--metric", choices=METRICS, default="accuracy", help="what to draw")
    parser.add_argument(
        "--out", type=new_folder, help="folder of the curve; else one of its own name"
    )
    parser.add_argument("--ray", metavar="ADDRESS", help="run on a Ray cluster; auto: the one here")
    parser.add_argument("--cpus", type=float, default=1, help="with --ray: of a point")
    parser.add_argument("--memory", type=float, default=2, help="with --ray: of a point, in GiB")
    parser.add_argument("--gpus", type=float, default=0, help="with --ray: of a point")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    setting = points.read_setting(arguments.setting) if arguments.setting else []
    grid, n_refused = points.plan(setting, arguments.set_param)
    if arguments.until and REPEATS in points.varying(grid):
        sys.exit(f"error: --until finds {REPEATS}: give it one value, to start from")
    axes = {*map(key_of, arguments.set_param), *points.GRID}
    swept = [key for key in points.varying(grid) if key in axes]
    swept = [key for key in swept if not key.startswith("download.texts.")]
    over = arguments.over or next((key for key in (SIZE, *swept) if key in swept), SIZE)
    panels = [key for key in (*arguments.panel.split(","), *swept) if key and key != over]
    points.check_keys(grid[0], [over, *panels])
    run_points = partial(run_queue, jobs=arguments.jobs)
    if arguments.ray:
        of_point = {key: getattr(arguments, key) for key in ("cpus", "memory", "gpus")}
        run_points = partial(on_ray, address=arguments.ray, **of_point)
    if arguments.until:
        names = [*run_until(grid, run_points, arguments.until, arguments.max_draws)]
    else:
        names = [name for name in run_points(grid) if name]
    options = {"--over": over, "--panel": ",".join(dict.fromkeys(panels)), "--out": arguments.out}
    options["--metric"] = arguments.metric
    options["--setting"] = arguments.setting and arguments.setting.stem
    given = [*chain.from_iterable((key, str(v)) for key, v in options.items() if v)]
    command = [sys.executable, "-m", "experiments.learning_curve", *given, "--", *names]
    drawn = bool(names) and not subprocess.call(command)
    sys.exit(1 if n_refused or len(names) < len(grid) or not drawn else 0)


if __name__ == "__main__":
    run(main)
