"""Writes which lines of the project a process has reached, as it ends: for tests.mutants.bearing.

REACHED holds the folder to write to, and for which test.
"""

import atexit
import json
import os
import re
import time
from pathlib import Path

OF_PROJECT = re.compile(r".*/((?:stages|experiments)/.*)")


def write(folder: str, test: str) -> None:
    coverage.stop()
    data = coverage.get_data()
    reached = {
        match[1]: {line: [test] for line in data.lines(file)}
        for file in data.measured_files()
        if (match := OF_PROJECT.fullmatch(file))
    }
    if reached:
        path = Path(folder, f"{os.getpid()}-{time.time_ns()}.json")
        path.write_text(json.dumps({"reached": reached}))


if "REACHED" in os.environ:
    from coverage import Coverage

    coverage = Coverage(data_file=None, include=["*/stages/*", "*/experiments/*"])
    coverage.set_option("run:disable_warnings", ["no-data-collected"])
    atexit.register(write, *os.environ["REACHED"].split("|", maxsplit=1))
    coverage.start()
