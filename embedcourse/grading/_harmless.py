"""Text that a learner controls, made fit to show: nothing in it can steer a terminal, a page or a spreadsheet."""

import re
import unicodedata

#: Kinds of characters that show nothing and can steer: control, format (bidirectional overrides among them), surrogate,
#: private, unassigned, and the separators of lines and paragraphs.
UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
JOINERS = "\u200c\u200d"  # format characters that words of some scripts, and some emoji, are made with
ESCAPE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[@-Z\\-_]?")


def one_line(text: str, most: int) -> str:
    """A text as one line of at most so many characters, without anything that cannot be seen."""
    return shortened(" ".join(seen(text[: 20 * most]).split()), most)


def lines(text: str, most: int, most_lines: int) -> str:
    """A text of at most so many characters and lines, without anything else that cannot be seen."""
    kept = [seen(line).rstrip() for line in text[: 20 * most].splitlines()]
    kept = [line for line in kept if line]
    shown = "\n".join(kept[:most_lines]) + (" …" if len(kept) > most_lines else "")
    return shortened(shown, most)


def seen(text: str) -> str:
    """A text without escape sequences; other characters that show nothing become a mark that is seen."""
    text = unicodedata.normalize("NFC", ESCAPE.sub("", text.replace("\t", "    ")))
    shown = (c if c in JOINERS or unicodedata.category(c) not in UNSEEN else "\ufffd" for c in text)
    return without_towers("".join(shown))


def without_towers(text: str) -> str:
    """A text in which no more than three marks stand on one letter, so that none covers the lines above it."""
    kept, height = [], 0
    for c in text:
        height = height + 1 if unicodedata.combining(c) else 0
        if height <= 3:
            kept.append(c)
    return "".join(kept)


def shortened(text: str, most: int) -> str:
    """The beginning of a text that is too long, marked as such."""
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"
