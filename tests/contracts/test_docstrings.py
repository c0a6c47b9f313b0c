"""Every public function says what it does, takes and gives, raises, and where it comes from."""

import importlib
import inspect
import pkgutil

import pytest

import embedcourse

FIELD = ("distances", "losses", "models", "world", "training", "evaluation")


def public() -> dict[str, object]:
    """Everything that a module of the package offers under its own name."""
    found = {}
    for module in pkgutil.walk_packages(embedcourse.__path__, "embedcourse."):
        if module.name.rsplit(".", 1)[1].startswith("_") or ".checks.ch" in module.name:
            continue
        loaded = importlib.import_module(module.name)
        for name in getattr(loaded, "__all__", ()):
            thing = getattr(loaded, name)
            if getattr(thing, "__module__", None) == module.name:
                found[f"{module.name}.{name}"] = thing
    return found


THINGS = public()
FUNCTIONS = {name: thing for name, thing in THINGS.items() if inspect.isfunction(inspect.unwrap(thing))}
OF_THE_FIELD = [name for name in FUNCTIONS if name.split(".")[1] in FIELD]


@pytest.mark.parametrize("name", THINGS)
def test_it_has_one_line_of_purpose(name):
    first = inspect.getdoc(THINGS[name]).splitlines()[0]
    assert first.endswith((".", ":")), first
    assert len(first.split()) >= 3


@pytest.mark.parametrize("name", FUNCTIONS)
def test_its_arguments_and_its_result_are_annotated(name):
    signature = inspect.signature(inspect.unwrap(FUNCTIONS[name]))
    assert signature.return_annotation is not inspect.Signature.empty
    for parameter in signature.parameters.values():
        assert parameter.annotation is not inspect.Parameter.empty, parameter.name


@pytest.mark.parametrize("name", OF_THE_FIELD)
def test_it_says_what_it_raises_and_where_it_comes_from(name):
    doc = inspect.getdoc(FUNCTIONS[name])
    assert "Raises:" in doc
    assert "Source:" in doc


def test_there_is_something_to_read():
    assert len(OF_THE_FIELD) >= 10
