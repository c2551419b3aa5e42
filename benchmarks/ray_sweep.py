"""What a Ray cluster costs a sweep: python -m benchmarks.ray_sweep, a quarter of an hour.

First real points of the default pipeline, all on this machine: by `dvc exp run`, one after another,
and as a sweep on clusters of one node and of two. Then 1,000 points on 50 nodes, where a point is a
task that sleeps for as long as a measured one took, divided by SCALE, and gives back as many bytes
as an experiment has; that takes as long as the sleeps alone would, and what scheduling adds.
"""

import contextlib
import os
import random
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": os.urandom(16).hex()}
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # Ray would tell its makers that it runs
import ray
from ray.cluster_utils import Cluster

from experiments import dvc_queue, ray_sweep
from stages.shared.errors import command_line

PROJECT = Path(__file__).parents[1]
POINTS = [[f"train.samples={samples}"] for samples in (100, 200, 300, 400)]
FIRST = [["train.samples=50"], ["train.samples=60"]]  # set the nodes up
SIMULATED, NODES = 1000, 50
SCALE = 10
BYTES = 400_000  # of an experiment: figures, report, curves


@contextlib.contextmanager
def cluster(nodes: int, cpus: int, folder: Path) -> Iterator[str]:
    """Run a cluster whose nodes keep their files in folders of their own; yields its address."""
    machines = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        for node in range(nodes):
            own = folder / f"node{node}"
            own.mkdir()
            machines.add_node(
                num_cpus=cpus, object_store_memory=80 * 2**20, env_vars={"TMPDIR": str(own)}
            )
        yield machines.address
    finally:
        machines.shutdown()


def clone(root: Path) -> Path:
    """Clone the project, with a remote beside it."""
    ray_sweep.git(".", "clone", "--quiet", str(PROJECT), str(root))
    dvc(root, "remote", "add", "--local", "--default", "storage", str(root.with_suffix(".storage")))
    return root


def dvc(root: Path, *arguments: str) -> float:
    """Run DVC in a folder; returns the seconds that it took."""
    start = time.perf_counter()
    subprocess.run(
        ["dvc", *arguments], cwd=root, env=dvc_queue.environment(), check=True, capture_output=True
    )
    return time.perf_counter() - start


def plainly(folder: Path) -> list[float]:
    """Run the points by `dvc exp run`; returns the seconds of each."""
    root = clone(folder / "plain")
    dvc(root, "repro", ray_sweep.SHARED)
    return [dvc(root, "exp", "run", *dvc_queue.options(point)) for point in POINTS]


def on_cluster(folder: Path, nodes: int, cpus: int) -> float:
    """Run the points as a sweep, on nodes that have run one before; returns seconds per point."""
    with cluster(nodes, cpus, folder) as address, contextlib.chdir(clone(folder / "swept")):
        ray_sweep.run(FIRST[:nodes], address, cpus, 1, 0)
        start = time.perf_counter()
        ray_sweep.run(POINTS, address, cpus, 1, 0)
        return (time.perf_counter() - start) / len(POINTS)


def point(seconds: float) -> Iterator[ray_sweep.Outcome | None]:
    """Behave as ray_sweep.run_point does, without its work."""
    yield None
    time.sleep(seconds)
    yield ray_sweep.Outcome("node", [], os.urandom(BYTES), "")


def simulate(measured: list[float], folder: Path) -> None:
    """Run sleeping points on more nodes than this machine is."""
    draw = random.Random(0)
    seconds = [draw.choice(measured) / SCALE for _ in range(SIMULATED)]
    ideal = sum(seconds) / NODES
    with cluster(NODES, 1, folder) as address:
        ray_sweep.connect(address)
        task = ray.remote(num_cpus=1, num_returns="streaming")(point)
        for _ in range(2):  # at first the nodes start their processes
            start = time.perf_counter()
            waiting = {task.remote(value): str(name) for name, value in enumerate(seconds)}
            submitted = time.perf_counter() - start
            ended = list(ray_sweep.follow(waiting, 0))
            took = time.perf_counter() - start
            print(f"{len(ended)} points in {took:.0f} s, {submitted:.1f} s of it to submit them;")
            each = (took - ideal) / SIMULATED * 1e3
            print(f"asleep for {ideal:.0f} s: {each:.0f} ms more per point")
        ray.shutdown()


def main() -> None:
    command_line(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:

        def new() -> Path:
            return Path(tempfile.mkdtemp(dir=folder))

        measured = plainly(new())
        print(f"dvc exp run: {sum(measured) / len(POINTS):.1f} s a point")
        for nodes, cpus in ((1, 2), (1, 1), (2, 1)):
            seconds = on_cluster(new(), nodes, cpus)
            print(f"{nodes} nodes, {cpus} CPUs a point: {seconds:.1f} s a point", flush=True)
        measured += plainly(new())
        print(f"dvc exp run again: {sum(measured[len(POINTS) :]) / len(POINTS):.1f} s a point")
        simulate(measured, new())


if __name__ == "__main__":
    main()
