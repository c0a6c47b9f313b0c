"""Hostile submissions as notebooks: the solution of chapter 2, with the attack in the place of one answer."""

import json
from typing import Any

from embedcourse import course
from tests.grading.attacks.hostile import Attack
from tests.grading.handed_in import code, notebook

CHAPTER = "hamming"
IMPORTS = code("import torch\nfrom embedcourse.checks import check", "imports")


def solution() -> dict[str, str]:
    """The code of the solution, by the id of its cell, for those that solve a task."""
    raw = json.loads((course.root() / "solutions" / "02_hamming.ipynb").read_text(encoding="utf-8"))
    return {c["id"]: "".join(c["source"]) for c in raw["cells"] if c.get("id", "").startswith("hamming-")}


def honest() -> str:
    """A notebook in which every task is solved."""
    return notebook([IMPORTS, *(code(source, name) for name, source in solution().items())])


def hostile(attack: Attack, **known: Any) -> str:
    """A notebook that attacks one task and solves the others.

    known: the values of HOST, PORT, MARK, JUDGE and SECRET, for those that the attack uses.
    """
    cells = [IMPORTS, *(code(source, f"before-{i}") for i, source in enumerate(attack.before))]
    for name, source in solution().items():
        if name == f"hamming-{attack.task}":
            own = {"metadata": dict(attack.metadata), "outputs": list(attack.outputs)}
            cells.append(code(armed(attack, **known), name) | own)
        else:
            cells.append(code(source, name))
    return notebook(cells)


def armed(attack: Attack, **known: Any) -> str:
    """The code of an attack, with the values that it uses."""
    return "".join(f"{name} = {value!r}\n" for name, value in known.items() if name in attack.source) + attack.source
