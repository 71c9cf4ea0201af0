"""Run the course without a browser: every notebook in order, one row each.

    python tools/course.py [NOTEBOOK...] [--out build/notebooks] [--write]

A row holds the notebook's name, the seconds it took, and its headline: whatever its cell tagged `headline` printed
or displayed as text. Executed copies go to `--out`. A notebook that fails is named with its cell and error, the
others still run, and the exit status is 1. `--write` puts the outputs of those that ran into the notebooks themselves,
ready to be committed.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from nbformat import NotebookNode

import geolib
from geolib.common.files import write_bytes

ROOT = Path(__file__).resolve().parent.parent
CELL_TIMEOUT_S = 900


@dataclass(frozen=True)
class Run:
    """What became of one notebook: seconds, headline text, and what failed where (empty when nothing did)."""

    name: str
    seconds: float
    headline: str
    failure: str = ""


def cell_text(cell: NotebookNode) -> str:
    """What a cell printed or displayed as plain text, on one line."""
    parts = [output.get("text", "") or output.get("data", {}).get("text/plain", "") for output in cell.outputs]
    return "; ".join(line.strip() for part in parts for line in part.splitlines() if line.strip())


def headline(notebook: NotebookNode) -> str:
    """The text of the cell tagged `headline`; empty when there is none."""
    cells = (c for c in notebook.cells if c.cell_type == "code" and "headline" in c.metadata.get("tags", []))
    return "; ".join(cell_text(cell) for cell in cells)


def failure(notebook: NotebookNode, error: Exception) -> str:
    """Which cell failed, its first lines, and the error in one line."""
    for number, cell in enumerate(notebook.cells, start=1):
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                return f"cell {number}: {output.ename}: {output.evalue}\n{_indented(cell.source)}"
    return f"{type(error).__name__}: {error}"


def _indented(source: str, lines: int = 10) -> str:
    return "\n".join(f"    | {line}" for line in source.splitlines()[:lines])


def fit_to_commit(notebook: NotebookNode) -> NotebookNode:
    """The notebook without what changes from run to run or from machine to machine.

    That is times, versions, the state of widgets, and what the system's fonts have to say.
    """
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        outputs = cell.get("outputs", [])
        outputs[:] = _joined(
            output for output in outputs if not output.get("text", "").startswith("Fontconfig warning: ")
        )
        for output in outputs:  # a widget without its kernel is an error message; its picture stays
            output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
    notebook.metadata.pop("widgets", None)
    notebook.metadata["language_info"] = {"name": "python"}
    notebook.metadata["geolib"] = made_with(notebook)
    return notebook


def _joined(outputs: Iterable[NotebookNode]) -> list[NotebookNode]:
    """Neighbouring pieces of one stream as one: a slow machine sends what a cell prints in several."""
    joined: list[NotebookNode] = []
    for output in outputs:
        stream = output.get("name")
        if stream and joined and joined[-1].get("name") == stream:
            joined[-1].text += output.text
        else:
            joined.append(output)
    return joined


def made_with(notebook: NotebookNode) -> dict[str, str]:
    """What the outputs of a notebook were made with: a hash of its code cells, and geolib's version."""
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    return {"code": hashlib.sha256("\0".join(code).encode()).hexdigest(), "version": geolib.__version__}


def run(path: Path, out: Path, write: bool = False) -> Run:
    """Execute one notebook in its own folder with a fresh kernel; write the executed copy to `out`, or back too."""
    start = time.perf_counter()
    try:
        notebook = nbformat.read(path, as_version=4)
    except Exception as error:  # nbformat raises whatever its JSON reader and its validator raise
        return Run(path.stem, 0.0, "", f"not a notebook: {error}")
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT_S,
        startup_timeout=300,  # a busy machine takes its time
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        extra_arguments=["--log-level=ERROR"],  # the kernel's notes on encryption would stand between the rows
    )
    problem = ""
    try:
        client.execute()
    except (CellExecutionError, CellTimeoutError, RuntimeError) as error:  # the last: the kernel died or never came
        problem = failure(notebook, error)
    out.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, out / path.name)
    if write and not problem:
        write_bytes(path, f"{nbformat.writes(fit_to_commit(notebook)).rstrip()}\n".encode())
    return Run(path.stem, time.perf_counter() - start, headline(notebook), problem)


def main(argv: list[str] | None = None) -> int:
    """Run the notebooks given (default: `notebooks/[0-9]*.ipynb` in order); 0 when all of them ran."""
    parser = argparse.ArgumentParser(description="Run the notebooks in order and print one row each.")
    parser.add_argument("notebooks", nargs="*", type=Path)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "notebooks")
    parser.add_argument("--write", action="store_true", help="put the outputs into the notebooks themselves")
    options = parser.parse_args(argv)
    paths = options.notebooks or sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
    missing = [str(path) for path in paths if not path.is_file()]
    if missing or not paths:
        print(f"no such notebook: {', '.join(missing) or ROOT / 'notebooks'}", file=sys.stderr)
        return 2
    width = max(len("notebook"), *(len(path.stem) for path in paths))
    print(f"{'notebook':<{width}}  seconds  headline")
    runs = []
    for path in paths:
        done = run(path, options.out, options.write)
        runs.append(done)
        print(f"{done.name:<{width}}  {done.seconds:7.1f}  {'FAILED' if done.failure else done.headline}", flush=True)
    failed = [done for done in runs if done.failure]
    print(f"{'total':<{width}}  {sum(r.seconds for r in runs):7.1f}  {len(runs) - len(failed)} of {len(runs)} ran")
    for done in failed:
        print(f"\n{done.name}: {done.failure}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
