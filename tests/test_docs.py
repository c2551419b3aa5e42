"""README and docs/: commands run, parameters exist, links lead somewhere, pages are up to date."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from docs import generate
from experiments import points
from tests.conftest import PROJECT

PAGES = sorted(
    path.relative_to(PROJECT).as_posix()
    for pattern in ("*.md", "docs/*.md", "data/*.md", "tests/*.md")
    for path in PROJECT.glob(pattern)
)
BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="session")
def run(run_alone):
    """Each program a process of its own, as a user has it."""
    return run_alone


def text_of(page: str) -> str:
    return (PROJECT / page).read_text("utf-8")


def blocks(page: str) -> list[tuple[str, str]]:
    """The language, with what stands after it, and the content of each fenced block."""
    return BLOCK.findall(text_of(page))


def script(page: str) -> str:
    """What a reader types who follows a page: its blocks of sh, and after $ those of console."""
    lines = []
    for language, content in blocks(page):
        if language == "sh":
            lines.append(content)
        if language == "console":
            lines += re.findall(r"^\$ ((?:.*\\\n)*.*)$", content, re.MULTILINE)
    return "\n".join(lines)


def commands(page: str) -> list[str]:
    """Every command of a page, run or not, a continued one on one line."""
    content = "\n".join(c for language, c in blocks(page) if language.startswith(("sh", "console")))
    return [line.removeprefix("$ ") for line in content.replace("\\\n", " ").splitlines()]


def test_the_readme_takes_five_minutes():
    assert len(text_of("README.md").splitlines()) <= 150


def test_the_page_of_parameters_is_that_of_the_schema():
    assert text_of("docs/parameters.md") == generate.page(), "python -m docs.generate writes it"


def test_the_page_of_parameters_promises_a_folder_only_for_texts():
    rows = [line for line in text_of("docs/parameters.md").splitlines() if ".path` |" in line]
    assert [("vectors" in row, "folder" in row) for row in rows] == [(False, True), (True, False)]


@pytest.mark.parametrize("page", PAGES)
def test_every_block_says_what_it_is(page):
    known = {"sh", "sh skip", "console", "text", "yaml", "python"}
    assert {language for language, _ in blocks(page)} <= known


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for target, _, anchor in re.findall(r"\]\(([^)#\s]*)(#?)([^)\s]*)\)", text_of(page)):
        if target.startswith("http"):
            continue
        path = (PROJECT / page).parent / target if target else PROJECT / page
        assert path.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", path.read_text("utf-8"), re.MULTILINE)
            slugs = [re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings]
            assert anchor in slugs, f"{target}#{anchor}"


@pytest.mark.parametrize("page", PAGES)
def test_every_parameter_that_is_set_exists_and_may_have_that_value(page, monkeypatch):
    monkeypatch.chdir(PROJECT)
    for command in commands(page):
        entries = [b or c for _, b, c in re.findall(r"-S (?:(['\"])(.*?)\1|(\S+))", command)]
        for entry in entries:
            key, _, values = entry.partition("=")
            is_added = key.startswith("+")  # it is no parameter before
            if "…" in values or key.endswith(".path") or is_added:
                continue
            known = points.flat(points.settings_of([]).model_dump())
            assert key in known, command
        if entries and not any("…" in entry for entry in entries):
            for point in points.expand(entries):
                points.settings_of(point)


@pytest.fixture(scope="module")
def finished(made_once, run) -> Path:
    """A clone in which the default pipeline has run."""

    def build(root: Path) -> None:
        run(root.parent, "git", "clone", "--quiet", str(PROJECT), root.name)
        run(root, "git", "config", "user.name", "Test")
        run(root, "git", "config", "user.email", "test@example.com")
        run(root, "dvc", "repro")

    return made_once("walked", build)


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if script(page)])
def test_what_a_page_tells_to_type_works(page, finished, run, tmp_path):
    root = shutil.copytree(finished, tmp_path / "clone", symlinks=True)
    done = run(root, "bash", "-euo", "pipefail", "-c", script(page), check=False)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    assert "Traceback" not in done.stderr


def test_commands_that_are_not_run_are_at_least_of_this_shell():
    for page in PAGES:
        for language, content in blocks(page):
            if language.startswith("sh"):
                subprocess.run(["bash", "-n", "-c", content], check=True)
