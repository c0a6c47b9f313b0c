"""CLAIMS.md shows what is stored, and no other number."""

import json
import re

import numpy as np
import pytest

from embedcourse import course
from embedcourse.claims import registry, report, results

ROOT = course.root()
PAGE = ROOT / "CLAIMS.md"
CHAPTERS = registry.chapters_with_claims()


def test_the_page_is_what_the_stored_results_render_to():
    assert PAGE.read_text(encoding="utf-8") == report.page(), "run `embedcourse claims --stored`"


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.name)
def test_every_chapter_with_claims_was_measured_over_three_seeds_or_more(chapter):
    assert len(results.results_of(chapter).rows) >= 3


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.name)
def test_every_claim_holds(chapter):
    assert [row.claim.key for row in report.latest_table(chapter).rows if not row.holds] == []


ROW = re.compile(
    r"^\| (?P<key>[^|]+) \| (?P<mean>\S+) ± (?P<std>\S+) \| (?P<least>\S+) to (?P<most>\S+) \|", re.MULTILINE
)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.name)
def test_the_numbers_of_a_table_are_those_of_the_file(chapter):
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {chapter.number} · ")[1].split("\n## ")[0]
    kept = json.loads((ROOT / "benchmarks" / "results" / "claims" / f"{chapter.name}.json").read_text())
    found = list(ROW.finditer(section))
    assert [match["key"] for match in found] == [claim.key for claim in registry.module_of(chapter).CLAIMS]
    for match in found:
        values = np.array([row[match["key"]] for row in kept["rows"]])
        for name, number in (
            ("mean", values.mean()),
            ("std", values.std(ddof=1)),
            ("least", values.min()),
            ("most", values.max()),
        ):
            decimals = len(match[name].partition(".")[2])
            assert abs(float(match[name]) - number) <= 0.5001 * 10**-decimals
