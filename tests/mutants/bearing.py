"""A plugin of pytest that picks the tests that bear on a file, and begins with the nearest.

A test bears on a file of the project if its own file imports it, directly or by what it imports; on
stages it does too if it runs processes, and on another folder if it names that. What runs none
comes first, then what looks at what a fixture has run, for several tests at once.

Nearer than all are the tests that have reached the changed line, the quickest first: a run with
--reached writes down which do. It sees one process, and lays what a fixture does to the first test
that asks for it.
"""

import ast
import json
import os
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from inspect import signature
from pathlib import Path

import pytest
from coverage import Coverage

ROOT = Path(__file__).parents[2]
FOLDERS = ("stages", "experiments")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--bearing-on", metavar="FILE", help="run the tests that bear on it alone")
    parser.addoption("--done", metavar="FILE", type=Path, help="but those of its list")
    parser.addoption("--nearer", metavar="FILE", type=Path, help="that start processes or these")
    parser.addoption("--rest", action="store_true", help="the others than with --nearer")
    parser.addoption("--these", metavar="FILE", type=Path, help="run those of its list, in order")
    parser.addoption("--reached", metavar="FOLDER", type=Path, help="write what each reaches")


def pytest_configure(config: pytest.Config) -> None:
    if folder := config.getoption("--reached"):
        worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
        config.pluginmanager.register(Recorder(folder / f"{worker}.json"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if path := config.getoption("--these"):
        place = {name: i for i, name in enumerate(json.loads(path.read_text()))}
        items[:] = sorted(
            (item for item in items if item.nodeid in place), key=lambda item: place[item.nodeid]
        )
    elif target := config.getoption("--bearing-on"):
        done, nearer = (
            {*json.loads(config.getoption(name).read_text())} for name in ("--done", "--nearer")
        )
        ranks = {item: rank(item, target) for item in items if item.nodeid not in done}
        rest = config.getoption("--rest")

        def is_of_part(item: pytest.Item) -> bool:
            of = ranks.get(item)
            return bool(of) and (of[1] > 0 or item.nodeid in nearer) != rest

        items[:] = sorted(filter(is_of_part, items), key=ranks.get)


class Recorder:
    """Writes the seconds of each test, and the tests that reach each line, within one process."""

    def __init__(self, path: Path):
        self.path, self.seconds = path, {}
        self.coverage = Coverage(data_file=None, source=[str(ROOT / name) for name in FOLDERS])
        self.coverage.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.coverage.switch_context(item.nodeid)
        start = time.monotonic()
        done = yield
        self.seconds[item.nodeid] = time.monotonic() - start
        self.coverage.switch_context("")
        return done

    def pytest_sessionfinish(self) -> None:
        self.coverage.stop()
        data, reached = self.coverage.get_data(), {}
        for file in data.measured_files():
            lines = data.contexts_by_lineno(file)
            tests = {line: sorted(filter(None, names)) for line, names in lines.items()}
            reached[str(Path(file).relative_to(ROOT))] = tests
        self.path.parent.mkdir(exist_ok=True)
        self.path.write_text(json.dumps({"seconds": self.seconds, "reached": reached}))


class Reached:
    """What a run with --reached has written."""

    def __init__(self, folder: Path):
        self.seconds: dict[str, float] = {}
        self.tests: dict[tuple[str, int], list[str]] = defaultdict(list)
        for path in folder.iterdir():
            content = json.loads(path.read_text())
            self.seconds |= content["seconds"]
            for file, lines in content["reached"].items():
                for line, tests in lines.items():
                    self.tests[file, int(line)] += tests

    def reaching(self, path: str, lines: Iterable[int]) -> list[str]:
        """List the tests that reach one of some lines, the quickest first."""
        found = {test for line in lines for test in self.tests[path, line]}
        return sorted(found, key=self.seconds.__getitem__)

    def quickest(self, tests: list[str], most: float) -> list[str]:
        """List the first of some tests, of `most` seconds together."""
        chosen, left = [], most
        for test in tests:
            left -= self.seconds[test]
            if left < 0:
                break
            chosen.append(test)
        return chosen


def rank(item: pytest.Item, target: str) -> tuple[bool, int, int] | None:
    """Tell how far a test is from a file; None: it does not bear on it."""
    imports = distances(str(item.path.relative_to(ROOT))).get(target)
    # These fixtures start processes; the second says whether the test itself does.
    starters = {"run", "run_alone"}
    runs = bool(starters & {*item.fixturenames})
    runs += bool(starters & {*signature(item.function).parameters})
    folder, is_of_tools = target.partition("/")[0], "experiments" in item.path.read_text()
    if imports is None and not (runs and (folder == "stages" or is_of_tools)):
        return None
    # What imports nothing of the code looks at what it has made.
    return folder == "stages" and is_of_tools, runs, imports or 0


@cache
def distances(test: str) -> dict[str, int]:
    """Count the imports on the way from a test to each file of the project that it reaches."""
    found, waiting = {test: 0}, [test]
    for path in waiting:
        for node in ast.walk(ast.parse((ROOT / path).read_text())):
            if isinstance(node, ast.ImportFrom | ast.Import):
                module = getattr(node, "module", None)
                names = [alias.name for alias in node.names]
                names = [module, *(f"{module}.{name}" for name in names)] if module else names
                others = {name.replace(".", "/") + ".py" for name in names} - {*found}
                others = sorted(other for other in others if (ROOT / other).is_file())
                found |= dict.fromkeys(others, found[path] + 1)
                waiting += others
    return found
