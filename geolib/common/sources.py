"""A digest of the code that a fitted model depends on: a model of other code is not one of the present code."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Collection
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
# The code that training goes through: modules, or some names of one. Comments, layout and docstrings do not count.
SOURCES: dict[str, tuple[str, ...]] = {
    "sphere.py": (),
    "common/arrays.py": (),
    "datasets/splits.py": ("split_photos",),
    "cells/nested.py": (),
    "cells/quadtree.py": (),
    "heads.py": (),
    "familiar.py": (),
    "predict.py": ("PRESETS", "fit", "fit_dataset", "cells_for"),
}


def code_hashes() -> dict[str, str]:
    """Hash of each module in `SOURCES`."""
    return {name: code_hash((_PACKAGE / name).read_text(encoding="utf-8"), names) for name, names in SOURCES.items()}


def code_digest() -> str:
    """One hash of all modules in `SOURCES`, for the name of a cache."""
    return hashlib.sha256(repr(sorted(code_hashes().items())).encode()).hexdigest()[:16]


def code_hash(source: str, names: Collection[str] = ()) -> str:
    """Hash of a module's code, or of some of its functions and constants, without comments, layout and docstrings.

    >>> code_hash("def f(): return 1  # one") == code_hash("def f():\\n    return 1")
    True
    """
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            value = body[0].value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                node.body = body[1:] or [ast.Pass()]  # type: ignore[attr-defined]
    chosen = [node for node in ast.walk(tree) if _named(node) in names] if names else [tree]
    return hashlib.sha256("\n".join(map(ast.dump, chosen)).encode()).hexdigest()[:16]


def _named(node: ast.AST) -> str | None:
    """The name that a function or an assignment gives."""
    if isinstance(node, ast.FunctionDef):
        return node.name
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return targets[0].id if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(targets[0], ast.Name) else None
