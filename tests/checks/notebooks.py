"""The functions that a notebook defines, without running the rest of it."""

import ast
from pathlib import Path
from typing import Any

import nbformat

DEFINITIONS = (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)


def definitions(path: Path) -> ast.Module:
    """All imports, functions and classes on the top level of a notebook's code cells."""
    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    nodes = [node for source in cells for node in ast.parse(source).body if isinstance(node, DEFINITIONS)]
    return ast.Module(nodes, type_ignores=[])


def run(module: ast.Module) -> dict[str, Any]:
    """The namespace that a module makes."""
    namespace: dict[str, Any] = {}
    exec(compile(ast.fix_missing_locations(module), "notebook", "exec"), namespace)
    return namespace


def function_named(module: ast.Module, name: str) -> ast.FunctionDef:
    """The definition of one function."""
    return next(node for node in module.body if isinstance(node, ast.FunctionDef) and node.name == name)
