"""What the words of a sentence say, looked up in the lists of synonyms."""

from embedcourse.world.factors import FACTORS, Scenes
from embedcourse.world.text import WORDS

MEANING = {
    word: (factor, FACTORS[factor][value])
    for factor, values in WORDS.items()
    for value, synonyms in enumerate(values)
    for word in synonyms
}


def claims(text: str) -> dict[str, str]:
    """The factors that a text names, with the values that it gives them."""
    before, at, cell = text.partition(" at the ")
    before, centre, _ = before.partition(" in the centre")
    found = dict(MEANING[word] for word in before.split() if word in MEANING)
    if at or centre:
        found["position"] = cell or "centre"
    return found


def facts(scenes: Scenes) -> list[dict[str, str]]:
    """Every factor's value, for each scene."""
    return [dict(zip(FACTORS, values, strict=True)) for values in zip(*map(scenes.names, FACTORS), strict=True)]
