"""A plugin of pytest that picks the tests that bear on a file, and begins with the nearest.

A test bears on a file of the project if its own file imports it, directly or by what it imports; on
stages it does too if it runs processes, and on another folder if it names that. What runs none
comes first, then what looks at what a fixture has run, for several tests at once.
"""

import ast
from functools import cache
from inspect import signature
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--bearing-on", metavar="FILE", help="run the tests that bear on it alone")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if target := config.getoption("--bearing-on"):
        ranks = {item: rank(item, target) for item in items}
        items[:] = sorted(filter(ranks.get, items), key=ranks.get)


def rank(item: pytest.Item, target: str) -> tuple[int, float] | None:
    """Tell how far a test is from a file; None: it does not bear on it."""
    imports = distances(str(item.path.relative_to(ROOT))).get(target)
    # conftest's `run` starts a process; the second says whether the test itself does.
    runs = ("run" in item.fixturenames) + ("run" in signature(item.function).parameters)
    folder = target.partition("/")[0]
    if imports is None and not (runs and (folder == "stages" or folder in item.path.read_text())):
        return None
    return runs, imports or float("inf")


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
