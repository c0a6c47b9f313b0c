"""What a chapter claims, as data: a quantity by name, where it must lie, and what the paper reports."""

from dataclasses import dataclass

__all__ = ["Claim"]


@dataclass(frozen=True)
class Claim:
    """A measured quantity, the range that the course claims for it, and the paper's own figure beside it."""

    #: The name of the quantity in what the chapter's `measure` returns: "zero-shot colour".
    key: str
    #: The lowest mean over the seeds that the claim allows; None where it has no lower end.
    at_least: float | None = None
    #: The highest mean over the seeds that the claim allows; None where it has no upper end.
    at_most: float | None = None
    #: What the paper reports for the like of it, with its section or table; empty where it reports nothing.
    paper: str = ""
    #: What differs between the paper's run and the course's: data, scale, model.
    differs: str = ""

    def __post_init__(self) -> None:
        """Refuse a claim that claims nothing, and one that nothing can meet."""
        if self.at_least is None and self.at_most is None:
            raise ValueError(f"{self.key!r} claims nothing: give at_least or at_most")
        if None not in (self.at_least, self.at_most) and self.at_least > self.at_most:
            raise ValueError(f"{self.key!r}: at_least is {self.at_least}, above at_most, which is {self.at_most}")

    def holds(self, mean: float) -> bool:
        """Whether a mean over the seeds lies in the claimed range."""
        return (self.at_least is None or mean >= self.at_least) and (self.at_most is None or mean <= self.at_most)

    @property
    def range(self) -> str:
        """The claimed range in words: "≥ 0.72", "≤ 0.5", "0.2 to 0.4"."""
        if self.at_most is None:
            return f"≥ {self.at_least:.4g}"
        if self.at_least is None:
            return f"≤ {self.at_most:.4g}"
        return f"{self.at_least:.4g} to {self.at_most:.4g}"
