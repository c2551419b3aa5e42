"""Time our way and others in turns: `make bench`, or `python -m benchmarks.compare ROW…`.

Each measurement is a process of its own, so that its peak memory is its own, and the ways take
turns. Data come from the packages of requirements.txt, or from the aclImdb that ACLIMDB names. A
way whose package is not installed is left out. Without a ROW all are measured, at the last commit,
and benchmarks/results.json and the table in docs/speed.md are written; with one it only prints.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

from tqdm import tqdm

from benchmarks import machine
from benchmarks.rows import NEEDS, ROOT, ROWS
from stages.report.markdown import lines_of
from stages.shared.errors import run
from stages.train.machine import processor

RESULTS, PAGE = Path(__file__).with_name("results.json"), ROOT / "docs/speed.md"
MARKS = "<!-- written by benchmarks.compare -->\n", "<!-- to here -->\n"
COMMAND = [sys.executable, "-m", "benchmarks.compare"]
ROUNDS = 3
NOT_PACKAGES = ("article", "before", "keras", "dvc", "ours")  # ways that can always be taken


def is_there(way: str) -> bool:
    """Tell whether a way can be gone here."""
    return way in NOT_PACKAGES or find_spec(way) is not None


def measure(row: str, way: str, folder: Path) -> dict[str, float]:
    """Measure one way of a row in a process of its own: seconds and peak MiB."""
    command = [*COMMAND, row, "--way", way, "--folder", folder]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{row}, {way}:\n{done.stdout}\n{done.stderr}")
    for line in done.stderr.splitlines():
        if line.startswith("fast"):
            tqdm.write(line)
    return json.loads(done.stdout.splitlines()[-1])


def compare(row: str, folder: Path) -> dict[str, dict[str, float]]:
    """Measure the ways of a row in turns: of each the medians over the rounds."""
    ways = [*filter(is_there, ROWS[row])]
    rounds = [{way: measure(row, way, folder) for way in ways} for _ in range(ROUNDS)]
    return {
        way: {
            key: float(f"{statistics.median(measured[way][key] for measured in rounds):.4g}")
            for key in ("s", "peak_mib")
        }
        for way in ways
    }


def share(row: str, ours: float, folder: Path, rates: dict[str, float]) -> float | None:
    """Say which share of our seconds the machine needs at its own measured rates."""
    if row not in NEEDS:
        return None
    operations, n_bytes = NEEDS[row](folder)
    needed = max(operations / rates["operations_per_s"], n_bytes / rates["bytes_per_s"])
    return float(f"{needed / ours:.2g}")


def table(rows: dict[str, dict]) -> list[str]:
    """Lay the results out as a Markdown table, a line for each way that is not ours."""
    header = ["work", "other way", "its time", "ours", "ratio", "its peak", "ours ", "share"]
    lines = []
    for name, row in rows.items():
        ours, of_limit = row["ways"]["ours"], row.get("share")
        lines += [
            [
                name,
                way,
                f"{other['s']:.3g} s",
                f"{ours['s']:.3g} s",
                f"{other['s'] / ours['s']:.1f}",
                f"{other['peak_mib']:,.0f} MiB",
                f"{ours['peak_mib']:,.0f} MiB",
                "" if of_limit is None else f"{100 * of_limit:.0f} %",
            ]
            for way, other in row["ways"].items()
            if way != "ours"
        ]
    return lines_of(header, lines, left=2)


def section(results: dict) -> str:
    """Write what docs/speed.md says of the results."""
    of = results["machine"]
    gflops, gigabytes = of["operations_per_s"] / 1e9, of["bytes_per_s"] / 1e9
    return (
        f"Commit {results['commit']}, {results['day']}, {of['cores']} cores of an"
        f" {of['processor']}: {gflops:.0f} thousand million operations a second in matrix products"
        f" with AVX2, and {gigabytes:.0f} GB copied.\n\n{table(results['rows'])}\n"
    )


def write_page(results: dict) -> None:
    before, _, rest = PAGE.read_text("utf-8").partition(MARKS[0])
    after = rest.partition(MARKS[1])[2]
    PAGE.write_text(f"{before}{MARKS[0]}{section(results)}{MARKS[1]}{after}", "utf-8")


def of_this_machine() -> dict[str, float | str | int]:
    return {
        "processor": processor(),
        "cores": os.cpu_count() or 1,
        "python": platform.python_version(),
        "operations_per_s": float(f"{machine.products():.3g}"),
        "bytes_per_s": float(f"{machine.memory():.3g}"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--way", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if unknown := [row for row in options.rows if row not in ROWS]:
        parser.error(f"no row {unknown[0]}: choose of {', '.join(ROWS)}")
    if options.folder and not options.way:
        from benchmarks.rows import prepare

        prepare(options.folder)
    elif options.way:
        elapsed = ROWS[options.rows[0]][options.way](options.folder)
        peak_kib = max(
            resource.getrusage(who).ru_maxrss
            for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        )
        print(json.dumps({"s": elapsed, "peak_mib": peak_kib / 1024}))
    else:
        compare_all(options.rows)


def compare_all(names: list[str]) -> None:
    """Measure the rows of these names, or all, and then write what came out."""
    git = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    results = {"commit": commit.strip(), "day": time.strftime("%Y-%m-%d")}
    results |= {"machine": of_this_machine(), "rows": {}}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # In a process of its own too: a child's peak memory starts at its parent's.
        subprocess.run([*COMMAND, "--folder", folder], cwd=ROOT, check=True)
        for row in tqdm(names or ROWS, unit="row"):
            ways = compare(row, folder)
            results["rows"][row] = {"ways": ways}
            of_limit = share(row, ways["ours"]["s"], folder, results["machine"])
            if of_limit is not None:
                results["rows"][row]["share"] = of_limit
            tqdm.write(f"{row}: {results['rows'][row]}")
            if not names:
                RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    if not names:
        write_page(results)
    print(section(results))


if __name__ == "__main__":
    run(main)
