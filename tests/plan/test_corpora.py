"""Corpora in plans: entries, names, gates on what is measured on them."""

from __future__ import annotations

import pytest

from gradus.plan import check_plan, dump, load_plan

GOOD = """\
name: plays
corpora:
  plays:
    source: {folder: plays}
    columns: {domain: play}
    clean: {min_characters: 200}
  news:
    source: {file: news.jsonl}
steps:
  - id: base
    step: read
    corpora: [plays]
    gates: ["plays.bits_per_byte <= 2.2", "bits_per_byte <= 3", "bits_per_byte{domain=lear} <= 3"]
  - id: both
    step: read
    corpora: [plays, news]
    gates: ["news.token_perplexity < 1.1 * base", "plays.dev.gate.bits_per_byte <= base + 0.1"]
  - id: final
    step: judge-either
    models: [base, both]
    on: news.test
"""


def faults(text: str) -> list[tuple[str, str]]:
    return [(fault.path, fault.message) for fault in check_plan(text)]


def test_a_good_plan_is_resolved_with_every_default() -> None:
    plan = load_plan(GOOD)
    assert list(plan.corpora) == ["plays", "news"]
    assert plan.corpora["plays"]["clean"]["min_characters"] == 200
    assert plan.corpora["news"]["clean"]["exact_duplicates"] == "drop"
    assert plan.step("both").corpora == ("plays", "news")
    final = plan.step("final")
    assert (final.corpora, final.data) == (("news",), ())
    assert load_plan(dump(plan), folder=plan.folder) == plan


def test_an_override_reaches_a_corpus() -> None:
    plan = load_plan(GOOD, overrides=["corpora.plays.limit=5"])
    assert plan.corpora["plays"]["limit"] == 5
    wrong = check_plan(GOOD, overrides=["corpora.play.limit=5"])
    assert "unknown corpus 'play': did you mean 'plays'?" in wrong[0].message


@pytest.mark.parametrize(
    ("old", "new", "path", "says"),
    [
        ("{min_characters: 200}", "{min_caracters: 200}", "corpora.plays.clean.min_caracters",
         "did you mean 'min_characters'"),
        ("  news:\n", "  parent:\n", "corpora.parent", "has a meaning in gates"),
        ("corpora: [plays]", "corpora: [play]", "steps.base.corpora[0]",
         "unknown corpus 'play': did you mean 'plays'?"),
        ("on: news.test", "on: nws.test", "steps.final.on",
         "unknown data set or corpus 'nws': did you mean 'news'?"),
        ('"bits_per_byte <= 3"', '"accuracy <= 3"', "steps.base.gates[1]",
         "isn't measured by accuracy"),
        ('"plays.bits_per_byte <= 2.2"', '"news.bits_per_byte <= 2.2"', "steps.base.gates[0]",
         "step 'base' isn't measured on 'news'; it is on plays"),
        ('"plays.bits_per_byte <= 2.2"', '"plays.train.bits_per_bit <= 2.2"',
         "steps.base.gates[0]", "bits_per_bit"),
        ("news.token_perplexity < 1.1 * base", "token_perplexity < 1.1 * base",
         "steps.both.gates[0]", "write which, as in plays.token_perplexity"),
        ("    columns: {domain: play}\n", "", "steps.base.gates[2]",
         "the documents of plays have no domain"),
        ("{domain=lear}", "{length=3}", "steps.base.gates[2]", "domain, language"),
    ],
)  # fmt: skip
def test_faults(old: str, new: str, path: str, says: str) -> None:
    assert old in GOOD
    found = faults(GOOD.replace(old, new))
    assert [where for where, _ in found[:1]] == [path], found
    assert says in found[0][1]


def test_a_corpus_is_no_data_set_and_the_other_way_round() -> None:
    data = "data:\n  news: {source: {folder: x}, format: folders}\n  texts: {source: {folder: x}}\n"
    found = dict(faults(GOOD + data))
    assert "a data set is named 'news' too" in found["corpora.news"]
    swapped = GOOD.replace("corpora: [plays]", "corpora: [texts]") + data.replace("news", "labels")
    assert "'texts' is a data set; name a corpus" in dict(faults(swapped))["steps.base.corpora[0]"]
    text = GOOD.replace("steps:\n", "steps:\n  - {id: floor, step: floor, data: plays}\n")
    assert (
        "'plays' is a corpus, whose documents have no labels"
        in dict(faults(text))["steps.floor.data"]
    )


def test_either_may_be_a_data_set() -> None:
    data = "data:\n  labels: {source: {folder: x}, format: folders}\n"
    plan = load_plan(GOOD.replace("on: news.test", "on: labels.test") + data)
    assert (plan.step("final").data, plan.step("final").corpora) == (("labels",), ())
