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
# Repeats at once: what a scheduler allots, as OpenMP reads it, "2" or, for each level, "2,1".
AT_ONCE = min(THREADS, int((os.environ.get("OMP_NUM_THREADS") or str(THREADS)).split(",")[0]))


def processor() -> str:
    """Name the processor, as the system does."""
    cpu_info = Path("/proc/cpuinfo")
    named = re.search("model name\\s*: (.*)", cpu_info.read_text()) if cpu_info.exists() else None
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
        partial_file.write_text(json.dumps(found, indent=2) + "\n")
