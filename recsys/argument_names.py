"""Names of the arguments of this package's constructors, read from its source: an import can take many seconds."""

from __future__ import annotations

import ast
from functools import cache

from recsys.places import PACKAGE


def argument_names(target: str) -> set[str] | None:
    """Return the names of a constructor's arguments, as `signatures.settings` finds them in the imported class.

    Args:
        target: module and name of the class: `recsys.models.ease.EASE`.

    Returns:
        The names; None if the source does not tell them, as for functions, classes of other packages, and classes whose
        constructor a decorator makes.
    """
    names: set[str] = set()
    for definition in _lineage(target):
        if definition is None or definition.decorator_list:
            return None
        for method in definition.body:
            if isinstance(method, ast.FunctionDef) and method.name == "__init__":
                names.update(argument.arg for argument in (*method.args.args[1:], *method.args.kwonlyargs))
                if method.args.kwarg is None:  # otherwise the next constructor takes what this one does not name
                    return names
    return None


@cache
def _lineage(target: str) -> tuple[ast.ClassDef | None, ...]:
    """Return the definitions of a class and its parents in the order of inheritance, with None for unknown ones."""
    module, _, name = target.rpartition(".")
    definitions, imported = _names(module)
    if name in imported:
        return _lineage(imported[name])
    if name not in definitions:
        return (None,)
    bases = [f"{module}.{base.id}" if isinstance(base, ast.Name) else "" for base in definitions[name].bases]
    line = [definitions[name], *(parent for base in bases for parent in _lineage(base))]
    return tuple(parent for place, parent in enumerate(line) if parent not in line[place + 1 :])


@cache
def _names(module: str) -> tuple[dict[str, ast.ClassDef], dict[str, str]]:
    """Return the classes that a module of this package defines, and the addresses of the names that it imports."""
    path = PACKAGE.parent.joinpath(*module.split("."))
    files = [file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()]
    if not files or path.parts[: len(PACKAGE.parts)] != PACKAGE.parts:
        return {}, {}
    nodes = list(ast.walk(ast.parse(files[0].read_text(encoding="utf-8"))))
    imports = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    imported = {alias.asname or alias.name: f"{node.module}.{alias.name}" for node in imports for alias in node.names}
    return {node.name: node for node in nodes if isinstance(node, ast.ClassDef)}, imported
