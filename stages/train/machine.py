"""How many trainings run at once, and what a variant was trained on."""

import json
import os
import platform
import re
from importlib.metadata import version
from pathlib import Path

from stages.shared import artifacts
from stages.shared.files import whole

THREADS = 2  # a number of them for each machine would give each machine weights of its own


def repeats_at_once(allotted: str) -> int:
    """Read how many a scheduler allots, as OpenMP does: "2" or, for each level, "2,1".

    Of anything else, as of 0, it is as if nothing were said.
    """
    first = allotted.partition(",")[0].strip()
    number = int(first) if first.isdecimal() else 0
    return min(number or THREADS, THREADS)


AT_ONCE = repeats_at_once(os.environ.get("OMP_NUM_THREADS", ""))


def processor() -> str:
    """Name the processor, as the system does."""
    cpu_info = Path("/proc/cpuinfo")
    listed = cpu_info.read_text("utf-8") if cpu_info.exists() else ""
    named = re.search("model name\\s*: (.*)", listed)
    return named[1] if named else platform.processor()


def record(variant: str, packages: tuple[str, ...]) -> None:
    """Write down what trained a variant, where no metric and no hash depends on it."""
    found = {
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
        "processor": f"{processor()}, {platform.machine()}",
        "cores": os.cpu_count(),
        "threads": THREADS,
    }
    with whole(artifacts.trained_on(variant)) as partial_file:
        partial_file.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
