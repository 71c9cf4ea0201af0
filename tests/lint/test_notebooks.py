"""What every committed notebook must have: outputs of this code, the same anatomy, links that work, alt texts."""

import json
import re
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import course  # noqa: E402

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def test_the_course_starts_with_the_tour():
    assert [path.name for path in NOTEBOOKS][:1] == ["00_tour.ipynb"]


def without_pictures(output):
    data = {kind: value for kind, value in output.get("data", {}).items() if not kind.startswith("image/")}
    return {**output, "data": data}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_committed_notebook_is_fit_to_be_read(path):
    assert path.stat().st_size < 1_000_000, "large notebooks do not show on GitHub: make the figures smaller"
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert sum("headline" in cell.metadata.get("tags", []) for cell in code) == 1, "one cell is tagged `headline`"
    assert course.headline(notebook), "the headline cell prints its numbers"
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1)), "committed after a clean run"
    assert "widgets" not in notebook.metadata, "widget state is not committed"
    assert "widget-view" not in path.read_text(encoding="utf-8"), "a widget without its kernel shows as an error"
    text = json.dumps([without_pictures(output) for cell in code for output in cell.outputs])
    assert not re.search(r"/home/|/root/|/tmp/|/Users/|[A-Z]:\\\\", text), "an output shows a path of one machine"
    assert "Traceback" not in text
    assert "Fontconfig" not in text


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_outputs_are_of_this_code_and_this_version(path):
    notebook = nbformat.read(path, as_version=4)
    assert notebook.metadata.get("geolib") == course.made_with(notebook), "outputs are stale: run `make notebooks`"


def lines_of(cell):
    """Lines that say something to Python."""
    return [line for line in cell.source.splitlines() if line.strip() and not line.strip().startswith("#")]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_notebook_has_the_same_anatomy(path):
    notebook = nbformat.read(path, as_version=4)
    prose = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    text = "\n".join(prose)
    assert len(re.findall(r"^# ", text, re.MULTILINE)) == 1 and prose[0].startswith("# "), "one H1, and it comes first"
    marks = ["**You will**", "**You need**", "## Exercises", "## Recap", "**Next**", "**References**"]
    places = [text.find(mark) for mark in marks]
    assert -1 not in places and places == sorted(places), f"in this order: {', '.join(marks)}"
    numbers = [int(number) for number in re.findall(r"^## (\d+) · ", text, re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1)), "sections are numbered from 1"
    assert "settings = Settings.from_env()" in code[1].source, "the second code cell shows the settings"
    imports = [line for cell in code[1:] for line in cell.source.splitlines() if re.match(r"(import|from) ", line)]
    assert re.match(r"(import|from) ", code[0].source) and not imports, f"imports come first: {imports}"
    lengths = sorted(len(lines_of(cell)) for cell in code[1:])
    assert lengths[-1] <= 20 and lengths[len(lengths) // 2] <= 6, f"cells are short: {lengths}"
    exercises = [cell for cell in code if "solution" in cell.metadata.get("tags", [])]
    assert 2 <= len(exercises) <= 4 and all("must_be_right(" in cell.source for cell in exercises)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_links_lead_somewhere_and_pictures_have_words(path):
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for target in re.findall(r"\]\(([^)\s]+)\)", cell.source):
                if not target.startswith(("http://", "https://")):
                    file, _, anchor = target.partition("#")
                    found = (path.parent / file).resolve() if file else path
                    assert found.exists(), f"{target} does not exist"
                    assert not anchor or found.suffix != ".md" or anchor in anchors(found), f"{target}: no such heading"
            assert "<img" not in cell.source and "![](" not in cell.source, "a picture needs words"
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                words = output.metadata.get("image/png", {}).get("alt") or output.data.get("text/plain", "")
                assert len(words) > 30 and "object at" not in words, "a picture needs words: use maps.show"


def anchors(page):
    """The anchors that GitHub makes of the headings of a Markdown page."""
    heads = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head).strip().lower().replace(" ", "-") for head in heads}
