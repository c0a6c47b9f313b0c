"""Claims beside what was measured: a table for the notebook, and CLAIMS.md with those of all chapters."""

import math
from dataclasses import asdict, dataclass
from statistics import fmean, stdev
from typing import Any

from embedcourse import course
from embedcourse.claims import registry
from embedcourse.claims.claim import Claim
from embedcourse.claims.results import Results, file_of, results_of

__all__ = ["ClaimsTable", "Judged", "claims_table", "page", "write_page"]


@dataclass(frozen=True)
class Judged:
    """A claim and the numbers by which it is judged, one a seed; none where it was not measured yet."""

    claim: Claim
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean over the seeds; NaN where nothing was measured."""
        return fmean(self.values) if self.values else math.nan

    @property
    def std(self) -> float:
        """The standard deviation over the seeds, divided by n − 1; NaN for fewer than two."""
        return stdev(self.values) if len(self.values) > 1 else math.nan

    @property
    def holds(self) -> bool:
        """Whether the mean lies in the claimed range."""
        return self.claim.holds(self.mean)

    @property
    def measured(self) -> str:
        """Mean ± standard deviation, to three digits of the largest value."""
        if not self.values:
            return "not measured"
        return self.written(self.mean) + (f" ± {self.written(self.std)}" if len(self.values) > 1 else "")

    @property
    def spread(self) -> str:
        """The smallest and the largest value."""
        return f"{self.written(min(self.values))} to {self.written(max(self.values))}" if self.values else ""

    @property
    def verdict(self) -> str:
        """Whether the claim holds, and in how many seeds where they differ."""
        inside = sum(map(self.claim.holds, self.values))
        seeds = f", {inside} of {len(self.values)} seeds" if 0 < inside < len(self.values) else ""
        return ("yes" if self.holds else "**no**") + seeds

    def written(self, number: float) -> str:
        """A number with as many decimals as give the largest value three digits."""
        largest = max(abs(value) for value in self.values)
        decimals = 3 - math.ceil(math.log10(largest)) if largest else 3
        return f"{number:.{min(max(decimals, 0), 6)}f}"

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for machines; None where a number is not defined."""
        measured = {"mean": self.mean, "std": self.std}
        measured = {name: None if math.isnan(number) else number for name, number in measured.items()}
        return asdict(self.claim) | measured | {"values": list(self.values), "holds": self.holds}


class ClaimsTable:
    """A chapter's claims beside what was measured: a table in a notebook, the same table as text elsewhere."""

    def __init__(self, chapter: course.Chapter, results: Results | None) -> None:
        self.chapter, self.results = chapter, results
        columns = results.columns() if results else {}
        claims = registry.module_of(chapter).CLAIMS
        self.rows = tuple(Judged(claim, tuple(columns.get(claim.key, ()))) for claim in claims)

    @property
    def hold(self) -> bool:
        """Whether all claims hold."""
        return all(row.holds for row in self.rows)

    def _repr_markdown_(self) -> str:
        columns = {
            "claim": [row.claim.key for row in self.rows],
            "measured": [row.measured for row in self.rows],
            "smallest to largest": [row.spread for row in self.rows],
            "claimed": [row.claim.range for row in self.rows],
            "holds": [row.verdict for row in self.rows],
            "the paper": [row.claim.paper for row in self.rows],
            "what differs": [row.claim.differs for row in self.rows],
        }
        below = [self.how()]
        if len(set(columns["what differs"])) == 1:  # of all claims the same: said once, below
            below += [f"What differs from the paper: {text}." for text in columns.pop("what differs")[:1] if text]
        rules = ["---:" if name in ("measured", "smallest to largest", "claimed") else "---" for name in columns]
        lines = [columns, rules, *zip(*columns.values(), strict=True)]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "".join(f"\n\n{text}" for text in below)

    def __repr__(self) -> str:
        return self._repr_markdown_()

    def how(self) -> str:
        """How the numbers came about, in a sentence."""
        if self.results is None:
            return f"Not measured yet: run `embedcourse claims {self.chapter.name}`."
        seeds, machine = len(self.results.seeds), self.results.machine
        over = f"Mean ± standard deviation of {seeds} seeds" if seeds > 1 else "One seed"
        threads = "1 thread" if machine["threads"] == 1 else f"{machine['threads']} threads"
        place = machine["gpu"] or f"{machine['processor']} with {machine['cpu_cores']} cores, {threads}"
        return (
            f"{over}, measured on {self.results.date}; {place}; torch {machine['torch']}, "
            f"Python {machine['python']}; {fmean(self.results.seconds):.0f} seconds a seed."
        )

    def lines(self) -> list[str]:
        """The same for a terminal: a line a claim."""
        lines = [f"{self.chapter.name}: {sum(row.holds for row in self.rows)} of {len(self.rows)} claims hold"]
        for row in self.rows:
            verdict = "holds" if row.holds else "FAILS"
            spread = f" ({row.spread})" if row.spread else ""
            lines.append(f"  {verdict}  {row.claim.key}: {row.measured}{spread}, claimed {row.claim.range}")
        return lines

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for machines."""
        about = {"chapter": self.chapter.name, "number": self.chapter.number, "hold": self.hold}
        names = ("seeds", "date", "machine")
        how = {name: getattr(self.results, name, None) for name in names}
        return about | how | {"claims": [row.as_dict() for row in self.rows]}


def claims_table(chapter: str) -> ClaimsTable:
    """The table of a chapter's claims, from the stored results.

    Raises: ValueError for a chapter without claims, or damaged results; FileNotFoundError where nothing is stored, or
    the package was installed without the course's folder.
    """
    found = registry.find_chapter(chapter)
    return ClaimsTable(found, results_of(found))


HEAD = """# The claims of the course, measured

Chapters that train networks claim numbers. Here each claim is measured over several seeds. It holds where the mean
over the seeds lies in the claimed range; where some seeds lie outside, the table says how many lie inside. Beside it
stands what the paper reports, and what differs. The networks and the world of this course are small: compare what the
figures show, not how high they are.

This page is made, not written. `embedcourse claims` measures all of it again{minutes}, and `embedcourse claims simclr`
one chapter. Every number comes from `benchmarks/results/claims/`; `embedcourse claims --stored` makes this page from
there without measuring.
"""


def page() -> str:
    """CLAIMS.md: the tables of all chapters, from the stored results.

    Raises: ValueError for damaged results; FileNotFoundError where the package was installed without the course's
    folder.
    """
    tables = [latest_table(chapter) for chapter in registry.chapters_with_claims()]
    seconds = sum(sum(table.results.seconds) for table in tables if table.results)
    minutes = f" (about {math.ceil(seconds / 60)} minutes)" if seconds else ""
    return "\n".join([HEAD.format(minutes=minutes), *map(section, tables)])


def latest_table(chapter: course.Chapter) -> ClaimsTable:
    """A chapter's table, which says so where nothing is stored."""
    return ClaimsTable(chapter, results_of(chapter) if file_of(chapter).exists() else None)


def section(table: ClaimsTable) -> str:
    """The part of CLAIMS.md on one chapter."""
    chapter, notebook = table.chapter, f"chapters/{table.chapter.stem}.ipynb"
    module = f"embedcourse/claims/{chapter.module}.py"
    there = (course.root() / notebook).exists()
    title = f"[{chapter.title}]({notebook})" if there else chapter.name
    return f"## {chapter.number} · {title}\n\nMeasured by [{module}]({module}).\n\n{table}\n"


def write_page() -> None:
    """Write CLAIMS.md at the top of the course, whole or not at all.

    Raises: as `page`, and OSError where the file cannot be written.
    """
    course.write_whole(course.root() / "CLAIMS.md", page().encode())
