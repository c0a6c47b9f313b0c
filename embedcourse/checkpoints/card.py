"""The card beside a file of weights: what they are, how they were made, how good they are, and their SHA-256."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from embedcourse.course import write_whole

__all__ = ["Card"]


@dataclass(frozen=True)
class Card:
    """What is known of a file of weights. The card of NAME.safetensors is NAME.json."""

    name: str
    #: What the weights are for, in a sentence.
    purpose: str
    #: What makes them again.
    command: str
    #: What they were trained on, and what the metrics were measured on.
    data: str
    seed: int
    steps: int
    metrics: dict[str, float]
    #: Another run, so short that a test repeats it: its steps, and what it reached.
    small_steps: int
    small_metrics: dict[str, float]
    #: The version of torch that trained both. Another one, or another processor, rounds differently.
    torch: str
    #: Numbers in the file, and its size.
    parameters: int
    bytes: int
    sha256: str

    @classmethod
    def read(cls, file: Path) -> "Card":
        """Read a card.

        Raises: FileNotFoundError where there is none, ValueError where it holds anything else than `write` writes.
        """
        try:
            return cls(**json.loads(file.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{file} is no card: {error}") from error

    def write(self, file: Path) -> None:
        """Write the card, whole or not at all. Raises: OSError where it cannot be written."""
        write_whole(file, (json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n").encode())
