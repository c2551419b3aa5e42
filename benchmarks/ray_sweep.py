"""What scheduling costs a sweep of 1,000 points on 50 nodes: python -m benchmarks.ray_sweep.

A point is a task that sleeps for as long as a point took, divided by SCALE, and gives back as many
bytes as an experiment has; the nodes are Ray's own test cluster on this machine. It prints how
long that took beside what the sleeps alone would take.
"""

import os
import random
import time

os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": os.urandom(16).hex()}
import ray
from ray.cluster_utils import Cluster

from experiments import ray_sweep

POINTS, NODES = 1000, 50
SECONDS = (30, 60)  # of a point of the default model on a core
SCALE = 10
BYTES = 400_000  # of an experiment: figures, report, curves


def point(seconds: float):
    """Behave as ray_sweep.run_point does, without its work."""
    yield None
    time.sleep(seconds)
    yield ray_sweep.Outcome("node", [], os.urandom(BYTES), "")


def main() -> None:
    draw = random.Random(0)
    seconds = [draw.uniform(*SECONDS) / SCALE for _ in range(POINTS)]
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        for _ in range(NODES):
            cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20)
        ray_sweep.connect(cluster.address)
        task = ray.remote(num_cpus=1, num_returns="streaming")(point)
        for _ in range(2):  # at first the nodes start their processes
            start = time.perf_counter()
            waiting = {task.remote(value): str(name) for name, value in enumerate(seconds)}
            submitted = time.perf_counter() - start
            ended = list(ray_sweep.follow(waiting, 0))
            took = time.perf_counter() - start
            ideal = sum(seconds) / NODES
            print(f"{len(ended)} points in {took:.0f} s, {submitted:.1f} s of it to submit them;")
            print(
                f"asleep for {ideal:.0f} s: {(took - ideal) / POINTS * 1e3:.0f} ms more per point"
            )
    finally:
        ray.shutdown()
        cluster.shutdown()


if __name__ == "__main__":
    main()
