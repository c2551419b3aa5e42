"""Change one thing in the code, see whether a test notices, and do so many times: make mutants.

    python -m tests.mutants [--seed N] [--count N] [--only FILE] [--aimed | --drawn]
                            [--reached FOLDER]

In:  the working tree; mutants.yaml: mutants aimed at what a test must notice, and drawn ones that
     change nothing that a test could notice, each with its argument.
Out: what became of each mutant and the test that noticed it; the share that was noticed of those
     not equivalent. The exit status is 1 if an aimed one lives, or more than 5 % of the drawn do.

A mutant is a copy of the tree in which one place of one file is changed. They are drawn by a hash
of the seed and of the changed line: as long as a line stays, so does the mutant.
"""

import argparse
import ast
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import stages.shared.blas  # noqa: F401  before the server imports numpy

import pytest
import yaml

from tests import fork_server
from tests.mutants.bearing import Reached
from tests.mutants.changes import changes

ROOT = Path(__file__).parents[2]
LISTED = Path(__file__).with_name("mutants.yaml")
LEAST = {"aimed": 1, "drawn": 0.95}  # to be noticed
AT_ONCE = 2
PATIENCE = 120  # seconds, after which a test is taken for one that never ends
MUTATED = ("stages/**/*.py", "experiments/*.py")
SLOW_ONLY = ("experiments/ray_sweep.py",)  # tested on a cluster, by slow tests alone
# With the real interpreter for what the tests start: a program of the fork server takes no options.
START = f"import pytest, sys; sys.executable = {sys.executable!r}; sys.exit(pytest.main())"
PYTEST = ["-c", START, "-x", "-q", "--tb=line", "-p", "no:cacheprovider"]
PYTEST += ["-p", "tests.mutants.bearing", "--hypothesis-seed=0"]
PYTEST += ["-o", f"faulthandler_timeout={PATIENCE}", "-o", "faulthandler_exit_on_timeout=true"]


class Mutant(NamedTuple):
    """Bytes `start` to `end` of a file, and what stands there instead."""

    path: str
    start: int
    end: int
    new: bytes
    name: str = ""

    def source(self) -> bytes:
        raw = content(self.path)
        return raw[: self.start] + self.new + raw[self.end :]

    def lines(self) -> tuple[str, str]:
        """The changed lines before and after, their white space folded."""
        raw = content(self.path)
        first, last = raw.rfind(b"\n", 0, self.start) + 1, raw.find(b"\n", self.end)
        new = raw[first : self.start] + self.new + raw[self.end : last]
        before, after = (" ".join(text.decode().split()) for text in (raw[first:last], new))
        return before, after

    def line(self) -> int:
        return content(self.path).count(b"\n", 0, self.start) + 1

    def is_another_program(self) -> bool:
        try:
            tree = ast.parse(self.source())
        except SyntaxError:
            return False
        return ast.dump(tree) != ast.dump(ast.parse(content(self.path)))

    def __str__(self) -> str:
        old, new = self.lines()
        return f"{self.path}:{self.line()} {self.name}\n  - {old}\n  + {new}"


@cache
def content(path: str) -> bytes:
    return (ROOT / path).read_bytes()


def all_mutants(only: str | None = None) -> Iterator[Mutant]:
    for path in sorted(str(p.relative_to(ROOT)) for glob in MUTATED for p in ROOT.glob(glob)):
        if path not in SLOW_ONLY and only in (None, path):
            yield from (Mutant(path, *change) for change in changes(content(path)))


def drawn(seed: int, count: int, only: str | None) -> list[Mutant]:
    """Draw mutants, at most one of a line."""

    def number(mutant: Mutant) -> str:
        return sha256(repr((seed, mutant.path, *mutant.lines())).encode()).hexdigest()

    chosen = {}
    for mutant in sorted(all_mutants(only), key=number):
        if len(chosen) < count and mutant.is_another_program():
            chosen.setdefault((mutant.path, mutant.line()), mutant)
    return list(chosen.values())


def aimed() -> list[Mutant]:
    """Read the mutants that are aimed; raises ValueError if one does not apply exactly once."""
    mutants = []
    for row in yaml.safe_load(LISTED.read_text("utf-8"))["aimed"]:
        raw, old = content(row["file"]), row["old"].encode()
        if raw.count(old) != 1:
            raise ValueError(f"{row['name']}: {raw.count(old)} times in {row['file']}")
        start = raw.index(old)
        change = start, start + len(old), row["new"].encode()
        mutants.append(Mutant(row["file"], *change, row["name"]))
    return mutants


def equivalent() -> dict[tuple[str, str, str], str]:
    """Read why a mutant changes nothing, by file and by the changed lines before and after."""
    rows = yaml.safe_load(LISTED.read_text("utf-8"))["equivalent"]
    return {(row["file"], row["old"], row["new"]): row["why"] for row in rows}


def take_snapshot(target: Path) -> None:
    """Copy what Git keeps of the working tree, or would: it may change while mutants are tested."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in listed.rstrip("\0").split("\0"):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)


def lines_of(mutant: Mutant) -> tuple[set[int], bool]:
    """List the lines that a test must reach to notice a mutant, and whether it is in a function.

    They are those of its statement; of a function's head its body, and of a name that is bound
    outside functions where it is used too.
    """
    line, tree = mutant.line(), ast.parse(content(mutant.path))
    around = [n for n in ast.walk(tree) if isinstance(n, ast.stmt) and n.lineno <= line]
    around = [n for n in around if line <= (n.end_lineno or 0)]
    own = max(around, key=lambda node: node.lineno)
    first, last = own.lineno, own.end_lineno or 0
    body = getattr(own, "body", None)
    if isinstance(own, ast.FunctionDef):
        first = own.body[0].lineno
    elif body:
        last = body[0].lineno - 1
    found = {*range(first, last + 1)}
    is_of_function = any(isinstance(node, ast.FunctionDef) for node in around)
    if not is_of_function:
        bound = [n for n in ast.walk(own) if isinstance(n, ast.Name)]
        names = {n.id for n in bound if isinstance(n.ctx, ast.Store)}
        found |= {n.lineno for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id in names}
    return found, is_of_function


def run_tests(root: Path, *options: str, python: str = sys.executable) -> tuple[int, str]:
    """Run the tests of a copy: the exit status, and what pytest said."""
    with tempfile.TemporaryDirectory(prefix="mutant-", ignore_cleanup_errors=True) as folder:
        command = [python, *PYTEST, f"--basetemp={folder}/tests", *options]
        with (Path(folder) / "said").open("w+") as output:
            tests = subprocess.Popen(
                command, cwd=root, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
            tests.wait()
            with suppress(ProcessLookupError):  # what they have started
                os.killpg(tests.pid, signal.SIGKILL)
            output.seek(0)
            return tests.returncode, output.read()


def judge(snapshot: Path, mutant: Mutant, reached: Reached, python: str) -> tuple[str, str]:
    """Test a mutant: what became of it, and the test that noticed it.

    `python` is a program that starts at once.
    """
    lines, is_of_function = lines_of(mutant)
    reaching = reached.reaching(mutant.path, lines)
    with tempfile.TemporaryDirectory(prefix="mutant-", ignore_cleanup_errors=True) as folder:
        root, these = Path(folder) / "project", Path(folder) / "these"
        shutil.copytree(snapshot, root)
        (root / mutant.path).write_bytes(mutant.source())
        these.write_text(json.dumps(reaching))
        files = sorted({name.partition("::")[0] for name in reaching})
        parts = [[f"--these={these}", *files]] if reaching else []
        if not is_of_function:
            parts.append([f"--bearing-on={mutant.path}", f"--done={these}"])
        for part in parts:
            status, said = run_tests(root, *part, python=python)
            if status not in (0, pytest.ExitCode.NO_TESTS_COLLECTED):
                break
        else:
            return "survived", ""
    if re.search(r"Timeout \(\d+:\d+:\d+\)!", said):
        return "timeout", ""
    found = re.search("^(?:FAILED|ERROR) (.*?)(?: - |$)", said, re.MULTILINE)
    return "killed", found[1] if found else said[-2000:]


def run(snapshot: Path, mutants: list[Mutant], reached: Reached, python: str) -> float:
    """Test mutants, print what becomes of each, and return the share that was noticed."""
    counts, known = Counter(), equivalent()

    def decide(mutant: Mutant) -> tuple[str, str, float]:
        start, why = time.monotonic(), known.get((mutant.path, *mutant.lines()))
        fate, by = ("equivalent", why) if why else judge(snapshot, mutant, reached, python)
        return fate, by, time.monotonic() - start

    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            for mutant, (fate, by, seconds) in zip(mutants, pool.map(decide, mutants), strict=True):
                counts[fate] += 1
                print(f"{fate} in {seconds:.0f} s: {mutant}\n  {by}".rstrip(), flush=True)
        finally:
            pool.shutdown(cancel_futures=True)
    judged = len(mutants) - counts["equivalent"]
    score = 1 - counts["survived"] / max(judged, 1)
    print(*(f"{count} {fate}," for fate, count in counts.items()), f"{score:.1%} noticed\n")
    return score


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutants", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=150, help="how many to draw")
    parser.add_argument("--only", metavar="FILE", help="leave all other files as they are")
    for kind in LEAST:
        parser.add_argument(
            f"--{kind}", dest="kinds", action="append_const", const=kind, help="these alone"
        )
    parser.add_argument(
        "--reached", type=Path, help="keep which tests reach which lines, or take it from there"
    )
    options = parser.parse_args()
    mutants = {"aimed": [m for m in aimed() if options.only in (None, m.path)]}
    if options.kinds != ["aimed"]:
        mutants["drawn"] = drawn(options.seed, options.count, options.only)
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        snapshot, reached = Path(folder) / "project", options.reached or Path(folder) / "reached"
        take_snapshot(snapshot)
        if reached.exists():
            run_tests(snapshot, "--collect-only")  # which compiles the tests
        else:
            spread = ["-n", str(AT_ONCE), "--dist", "worksteal"]
            status, said = run_tests(snapshot, f"--reached={reached}", *spread)
            if status:
                sys.exit(f"error: the tests fail without any change: {said[-2000:]}")
        programs = Path(folder) / "programs"
        fork_server.start(programs, os.getpid())
        os.environ["FORK_SERVER"] = str(programs)
        scores = {
            kind: run(snapshot, mutants[kind], Reached(reached), str(programs / "python"))
            for kind in options.kinds or LEAST
        }
    sys.exit(any(score < LEAST[kind] for kind, score in scores.items()))


if __name__ == "__main__":
    main()
