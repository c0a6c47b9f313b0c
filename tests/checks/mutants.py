"""Small automatic mistakes: every way to change one place of a function's syntax tree."""

import ast
import copy
from collections.abc import Iterator

SWAPS = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Pow: ast.Mult,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitOr,
}


def variants(node: ast.AST) -> Iterator[ast.AST]:
    """What could stand in the place of one node by a slip."""
    if type(node) in SWAPS:
        yield SWAPS[type(node)]()
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield ast.Constant(node.value + 1)
    if isinstance(node, ast.UnaryOp):
        yield node.operand
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute):
            yield node.func.value  # the method is forgotten
        for i in range(len(node.keywords)):
            yield ast.Call(node.func, node.args, node.keywords[:i] + node.keywords[i + 1 :])
    if isinstance(node, ast.IfExp):
        yield ast.IfExp(node.test, node.orelse, node.body)
    if isinstance(node, ast.If):
        yield ast.If(ast.UnaryOp(ast.Not(), node.test), node.body, node.orelse)
    if isinstance(node, ast.Raise):
        yield ast.Pass()


def mutants(function: ast.FunctionDef) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Every mutant of a function, with "line before -> line after" as its name."""
    function = copy.deepcopy(function)
    if ast.get_docstring(function):
        function.body = function.body[1:]
    parents = [
        (parent, field) for parent in ast.walk(function) for field in parent._fields if field != "decorator_list"
    ]
    for parent, field in parents:
        value = getattr(parent, field)
        for at, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
            for variant in variants(node) if isinstance(node, ast.AST) else ():
                before = ast.unparse(ast.fix_missing_locations(function))
                put(parent, field, at, variant)
                mutant = ast.fix_missing_locations(copy.deepcopy(function))
                put(parent, field, at, node)
                yield change(before, ast.unparse(mutant)), mutant


def put(parent: ast.AST, field: str, at: int | None, node: ast.AST) -> None:
    """Set a child of a node."""
    if at is None:
        setattr(parent, field, node)
    else:
        getattr(parent, field)[at] = node


def change(before: str, after: str) -> str:
    """The first line that differs, before and after."""
    pairs = zip(before.splitlines(), after.splitlines(), strict=False)
    old, new = next((old, new) for old, new in pairs if old != new)
    return f"{old.strip()} -> {new.strip()}"
