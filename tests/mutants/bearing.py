"""A plugin of pytest that picks the tests that may notice a change of a line.

These are the tests that reach it, the quickest first: a run with --reached writes down which do. It
follows what a test starts: the programs of the fork server, and Python itself. What a fixture of
many tests does, or what is made once for several, counts for each test that uses it.

What is bound outside functions is reached by what only reads it, so that more tests may notice it:
those that bear on its file. A test does if its own file imports it, directly or by what it imports;
on stages it does too if it runs processes, and on another folder if it names that. What runs none
comes first, then what looks at what a fixture has run, for several tests at once.
"""

import ast
import json
import os
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from inspect import signature
from pathlib import Path

import pytest
from coverage import Coverage

ROOT = Path(__file__).parents[2]
FOLDERS = ("stages", "experiments")
IS_TEST = re.compile(r"tests/\S+\.py::").match


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--bearing-on", metavar="FILE", help="run the tests that bear on it alone")
    parser.addoption("--done", metavar="FILE", type=Path, help="but those of its list")
    parser.addoption("--these", metavar="FILE", type=Path, help="run those of its list, in order")
    parser.addoption("--reached", metavar="FOLDER", type=Path, help="write what each reaches")


def pytest_configure(config: pytest.Config) -> None:
    if folder := config.getoption("--reached"):
        config.pluginmanager.register(Recorder(folder.absolute()))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if path := config.getoption("--these"):
        place = {name: i for i, name in enumerate(json.loads(path.read_text()))}
        items[:] = sorted(
            (item for item in items if item.nodeid in place), key=lambda item: place[item.nodeid]
        )
    elif target := config.getoption("--bearing-on"):
        done = {*json.loads(config.getoption("--done").read_text())}
        ranks = {item: rank(item, target) for item in items if item.nodeid not in done}
        items[:] = sorted(filter(ranks.get, ranks), key=ranks.get)


class Recorder:
    """Writes for whom a line is reached, the seconds each takes, and which others it uses.

    That is a test, a fixture of many tests, or what is made once.
    """

    def __init__(self, folder: Path):
        folder.mkdir(exist_ok=True)
        self.folder, self.now, self.since = folder, "", time.monotonic()
        self.seconds, self.using = defaultdict(float), defaultdict(set)
        os.environ["PYTHONPATH"] = str(Path(__file__).with_name("recorded"))
        self.coverage = Coverage(data_file=None, source=[str(ROOT / name) for name in FOLDERS])
        self.coverage.start()

    @contextmanager
    def of(self, user: str) -> Iterator[None]:
        """Lay what is reached meanwhile to a user."""
        before = self.now
        self.switch(user)
        try:
            yield
        finally:
            self.switch(before)

    def switch(self, user: str) -> None:
        self.seconds[self.now] += time.monotonic() - self.since
        self.now, self.since = user, time.monotonic()
        self.coverage.switch_context(user)
        os.environ["REACHED"] = f"{self.folder}|{user}"

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.using[item.nodeid] |= {f"fixture {name}" for name in item.fixturenames}
        with self.of(item.nodeid):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef) -> Iterator[None]:
        if fixturedef.scope == "function":
            return (yield)
        with self.of(f"fixture {fixturedef.argname}"):
            value = yield
        if fixturedef.argname == "made_once":
            value = self.recorded(value)
            fixturedef.cached_result = (value, *fixturedef.cached_result[1:])
        return value

    def recorded(self, make: Callable) -> Callable:
        def make_recorded(name: str, build: Callable) -> Path:
            self.using[self.now].add(f"made {name}")
            with self.of(f"made {name}"):
                return make(name, build)

        return make_recorded

    def pytest_sessionfinish(self) -> None:
        self.coverage.stop()
        data, reached = self.coverage.get_data(), {}
        for file in data.measured_files():
            lines = data.contexts_by_lineno(file)
            users = {line: sorted(filter(None, names)) for line, names in lines.items()}
            reached[str(Path(file).relative_to(ROOT))] = users
        using = {user: sorted(used) for user, used in self.using.items()}
        content = {"seconds": self.seconds, "using": using, "reached": reached}
        worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
        (self.folder / f"{worker}.json").write_text(json.dumps(content))


class Reached:
    """What a run with --reached has written."""

    def __init__(self, folder: Path):
        self.seconds: dict[str, float] = defaultdict(float)
        self.users: dict[tuple[str, int], set[str]] = defaultdict(set)
        self.using: dict[str, set[str]] = defaultdict(set)
        for path in folder.iterdir():
            content = json.loads(path.read_text())
            for user, seconds in content.get("seconds", {}).items():
                self.seconds[user] = max(self.seconds[user], seconds)
            for user, used in content.get("using", {}).items():
                self.using[user] |= {*used}
            for file, lines in content["reached"].items():
                for line, users in lines.items():
                    self.users[file, int(line)] |= {*users}
        self.tests = {}
        for test in filter(IS_TEST, self.seconds):
            used = [test]
            for user in used:
                used += self.using[user] - {*used}
            self.tests[test] = {*used}

    def reaching(self, path: str, lines: Iterable[int]) -> list[str]:
        """List the tests that reach one of some lines, the quickest first with what each uses."""
        users = set().union(*(self.users[path, line] for line in lines))
        found = [test for test, used in self.tests.items() if users & used]
        return sorted(found, key=self.seconds_of)

    def seconds_of(self, test: str) -> float:
        return sum(self.seconds[user] for user in self.tests[test])


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
