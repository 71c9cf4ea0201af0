"""The layout of geolib: imports go one way, modules and functions stay short, one version, no drawing code."""

import ast
import re
import subprocess
import sys
import tomllib
from collections import Counter
from functools import cache
from itertools import groupby
from pathlib import Path

import pytest
from shipped import SAMPLE

import geolib

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "geolib"
# From the ground up. A module imports only from floors below its own, and within its own room without circles.
# A room stands for all of its modules that have no floor of their own.
FLOORS = (
    "_version", "common", "sphere", "countries", "images", "openclip", "encoder", "embed", "cells", "heads", "fusion",
    "decoding", "retrieve", "familiar", "evaluate", "datasets", "plots", "sharing.model_folder", "sharing.card",
    "predict", "refine", "judge", "sharing.hub", "app",
)  # fmt: skip
# Arrows that break the rule, and why. `__init__` and `__main__` are the doors of the package and may name any floor.
ALLOWED_ARROWS: dict[tuple[str, str], str] = {}
LONG_FUNCTIONS: dict[str, str] = {}  # "module.function" -> why it is longer than 60 lines
MOST_LINES, MOST_FUNCTION_LINES = 500, 60
MOST_IN_ALL = 10_900  # without docstrings: their examples are there for the reader
MOST_IN_THE_PIPELINE = 3_650


@cache
def modules():
    """Module name without `geolib.` ("" for the package itself) -> its tree."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        found[name.removesuffix("__init__").removesuffix(".")] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def lines_of(path):
    return len(path.read_text(encoding="utf-8").splitlines())


def imported(tree, known):
    """Names of geolib's modules that a module imports, at its top or in a function; not those for type checkers."""
    found = set()

    def visit(node):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for child in node.orelse:
                visit(child)
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names if alias.name.split(".")[0] == "geolib")
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import"
            if (node.module or "").split(".")[0] == "geolib":
                for alias in node.names:
                    full = f"{node.module}.{alias.name}"
                    found.add(full if full.removeprefix("geolib.") in known else node.module)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(tree)
    return {name.removeprefix("geolib").removeprefix(".") for name in found}


def floor(name):
    """Number of a module's floor, by its own name or by its room's."""
    own = [number for number, level in enumerate(FLOORS) if name == level or name.startswith(f"{level}.")]
    return own[0] if own else FLOORS.index(name.split(".")[0])


@cache
def arrows():
    """(module, what it imports) for all of geolib but its doors."""
    known = set(modules())
    return sorted(
        (name, target)
        for name, tree in modules().items()
        if name not in ("", "__main__")
        for target in imported(tree, known) - {name}
    )


def test_every_module_has_a_floor():
    for name in modules():
        if name not in ("", "__main__") and not name.startswith("sharing"):
            floor(name)
    assert len(set(FLOORS)) == len(FLOORS)


def test_imports_go_to_lower_floors_only():
    wrong = []
    for name, target in arrows():
        if target == "":
            ok = name.startswith("app.")  # only the application may ask the package for its public names
        elif "." not in target and target == name.split(".")[0]:
            ok = False  # a module that imports its own room's __init__ stands in a circle
        elif name == "sharing" or target == "sharing":
            ok = False
        else:
            ok = floor(target) < floor(name) or (floor(target) == floor(name))
        if not ok and (name, target) not in ALLOWED_ARROWS:
            wrong.append(f"geolib.{name} -> geolib.{target}")
    assert not wrong, f"imports that go upwards, or to a package that contains them: {wrong}"


def test_no_circle_of_imports():
    graph = {}
    for name, target in arrows():
        graph.setdefault(name, set()).add(target)
    state, circles = {}, []

    def walk(name, path):
        state[name] = "open"
        for target in sorted(graph.get(name, ())):
            if state.get(target) == "open":
                circles.append(" -> ".join([*path[path.index(target) :], target] if target in path else [name, target]))
            elif target not in state:
                walk(target, [*path, target])
        state[name] = "done"

    for name in sorted(graph):
        if name not in state:
            walk(name, [name])
    assert not circles


def test_the_reader_of_imports_sees_what_it_should():
    source = """
from typing import TYPE_CHECKING
import geolib.sphere
from geolib.common import files
from geolib.common.files import write_json
if TYPE_CHECKING:
    from geolib.app import cli
else:
    import geolib.fusion
def f():
    from geolib.heads import train_heads
"""
    seen = imported(ast.parse(source), set(modules()))
    assert seen == {"sphere", "common.files", "fusion", "heads"}
    assert floor("common.files") < floor("sphere") < floor("sharing.card") < floor("predict") < floor("sharing.hub")


def test_no_module_is_longer_than_a_reader_can_hold():
    long = {str(path.relative_to(ROOT)): lines_of(path) for path in PACKAGE.rglob("*.py")}
    assert {name: lines for name, lines in long.items() if lines > MOST_LINES} == {}


def test_no_function_is_longer_than_a_screen():
    long = {}
    for name, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = node.end_lineno - node.lineno + 1
                if lines > MOST_FUNCTION_LINES:
                    long[f"{name}.{node.name}"] = lines
    assert {name: lines for name, lines in long.items() if name not in LONG_FUNCTIONS} == {}
    assert LONG_FUNCTIONS.keys() <= long.keys(), "an exception that is no longer needed"


def test_the_pipeline_can_be_read_in_an_evening():
    """The flat modules, without the doors `__init__` and `__main__`, and the quadtree."""
    flat = [path for path in PACKAGE.glob("*.py") if not path.name.startswith("_")]
    pipeline = {path.name: lines_of(path) for path in [*flat, PACKAGE / "cells" / "quadtree.py"]}
    assert sum(pipeline.values()) <= MOST_IN_THE_PIPELINE, pipeline


def docstring_lines(tree):
    """Lines that docstrings take in a module."""
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    documented = [node for node in ast.walk(tree) if isinstance(node, owners) and ast.get_docstring(node)]
    return sum(node.body[0].end_lineno - node.body[0].lineno + 1 for node in documented)


def test_geolib_is_small():
    rooms = Counter()
    for path in PACKAGE.rglob("*.py"):
        written = docstring_lines(ast.parse(path.read_text(encoding="utf-8")))
        rooms[path.relative_to(PACKAGE).parts[0]] += lines_of(path) - written
    assert sum(rooms.values()) <= MOST_IN_ALL, rooms.most_common()


def test_the_version_is_written_once():
    assert re.fullmatch(r"\d+\.\d+\.\d+", geolib.__version__)
    texts = {path: path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}
    assert [path.name for path, text in texts.items() if f'"{geolib.__version__}"' in text] == ["_version.py"]
    assert "version" not in tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.mark.parametrize("package", ["skia", "postcards"])
def test_geolib_imports_no_drawing_code(package):
    """Postcards are opened by name, with `importlib`, when somebody asks for them."""
    users = []
    for name, tree in modules().items():
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            users += [name for given in names if given.split(".")[0] == package]
    assert users == []


def test_private_names_stay_in_their_module():
    """A name that another module imports has no underscore in front."""
    wrong = []
    for name, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("geolib"):
                wrong += [
                    f"geolib.{name}: {node.module}.{alias.name}"
                    for alias in node.names
                    if alias.name.startswith("_") and not alias.name.startswith("__")
                    and not (node.module == "geolib" and alias.name == "_version")
                ]  # fmt: skip
    assert wrong == []


WALK = ("__init__", "predict", "images", "encoder", "openclip.model", "heads", "fusion", "decoding")


def test_the_walk_from_locate_to_the_coordinate_is_the_documented_one():
    """The files in the docstring of predict.py are those that a call of `locate` enters, in this order."""
    documented = re.findall(r"^\d\. `geolib/(.+?)\.py`", ast.get_docstring(modules()["predict"]), re.MULTILINE)
    assert tuple(name.replace("/", ".") for name in documented) == WALK
    geolib.locate(SAMPLE)  # loads the model
    entered = []

    def note(frame, event, _):
        path = Path(frame.f_code.co_filename)
        if event == "call" and PACKAGE in path.parents:
            name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
            if name in WALK and name not in entered:
                entered.append(name)

    sys.setprofile(note)
    try:
        _ = geolib.locate(SAMPLE).lat
    finally:
        sys.setprofile(None)
    assert entered == list(WALK)


def test_import_geolib_loads_no_heavy_package():
    """`import geolib` takes milliseconds because its parts load on first use."""
    code = (
        "import sys, geolib; "
        "print(sorted({'torch', 'numpy', 'pandas', 'matplotlib', 'open_clip', 'PIL'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_comes_from_its_module():
    assert sorted(geolib.__all__) == [name for name, _ in groupby(sorted(geolib.__all__))]
    for name in geolib.__all__:
        assert getattr(geolib, name) is not None
    assert set(geolib.__all__) <= set(dir(geolib))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = geolib.nothing
