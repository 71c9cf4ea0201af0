"""The runner of the course, and what every notebook of it must have. (`make test` also runs them all, by nbmake.)"""

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


def write_notebook(path, *sources, tags=()):
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    if tags:
        cells[-1].metadata["tags"] = list(tags)
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def test_a_row_for_each_notebook_and_a_total(tmp_path, capsys):
    first = write_notebook(tmp_path / "00_a.ipynb", "x = 41", "print(f'median {x + 1} km')", tags=["headline"])
    second = write_notebook(tmp_path / "01_b.ipynb", "{'within 25 km': 0.5}", tags=["headline"])
    assert course.main([str(first), str(second), "--out", str(tmp_path / "out")]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"00_a +\d+\.\d  median 42 km", rows[1])
    assert re.fullmatch(r"01_b +\d+\.\d  \{'within 25 km': 0\.5\}", rows[2])
    assert re.fullmatch(r"total +\d+\.\d  2 of 2 ran", rows[3])
    executed = nbformat.read(tmp_path / "out" / "00_a.ipynb", as_version=4)
    assert executed.cells[1].outputs[0].text == "median 42 km\n"


def test_a_failing_notebook_is_named_with_cell_and_error_and_the_next_still_runs(tmp_path, capsys):
    bad = write_notebook(tmp_path / "00_bad.ipynb", "x = 1", "assert x == 2, 'off by one'")
    no_json = tmp_path / "01_torn.ipynb"
    no_json.write_text("{")
    good = write_notebook(tmp_path / "02_good.ipynb", "1")
    assert course.main([str(bad), str(no_json), str(good), "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr()
    assert "00_bad: cell 2: AssertionError: off by one" in said.err
    assert "    | assert x == 2" in said.err
    assert "01_torn: not a notebook" in said.err
    assert "1 of 3 ran" in said.out


def test_outputs_are_written_back_only_when_asked_and_only_of_a_notebook_that_ran(tmp_path, capsys):
    good = write_notebook(tmp_path / "00_good.ipynb", "print(6 * 7)")
    bad = write_notebook(tmp_path / "01_bad.ipynb", "print(1)", "1 / 0")
    before = bad.read_bytes()
    course.main([str(good), "--out", str(tmp_path / "out")])
    assert not nbformat.read(good, as_version=4).cells[0].outputs
    course.main([str(good), str(bad), "--out", str(tmp_path / "out"), "--write"])
    written = nbformat.read(good, as_version=4)
    assert written.cells[0].outputs[0].text == "42\n"
    assert not written.cells[0].metadata
    assert written.metadata.geolib == course.made_with(written)
    assert written.metadata.language_info == {"name": "python"}
    assert bad.read_bytes() == before


def test_what_the_fonts_of_a_machine_say_is_not_committed():
    said = ['Fontconfig warning: "/usr/share/x.conf", line 6: unknown element\n', "a warning of our own\n"]
    cell = nbformat.v4.new_code_cell(
        "1", outputs=[nbformat.v4.new_output("stream", name="stderr", text=t) for t in said]
    )
    kept = course.fit_to_commit(nbformat.v4.new_notebook(cells=[cell])).cells[0].outputs
    assert [output.text for output in kept] == said[1:]


def test_what_a_slow_machine_prints_in_pieces_is_one_text_and_keeps_its_place():
    piece, picture = nbformat.v4.new_output, nbformat.v4.new_output("display_data", data={"text/plain": "a picture"})
    printed = [piece("stream", text=t) for t in ("one ", "line\n")]
    outputs = [*printed, picture, piece("stream", text="after\n"), piece("stream", name="stderr", text="a note\n")]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1", outputs=outputs)])
    kept = course.fit_to_commit(notebook).cells[0].outputs
    assert [output.get("text", "picture") for output in kept] == ["one line\n", "picture", "after\n", "a note\n"]


def test_no_notebook_is_a_usage_error(tmp_path, capsys):
    assert course.main([str(tmp_path / "none.ipynb")]) == 2
    assert "no such notebook" in capsys.readouterr().err


def test_the_guard_reaches_notebook_kernels(tmp_path, capsys):
    path = write_notebook(
        tmp_path / "00.ipynb", "import urllib.request as u; u.urlopen('http://192.0.2.1/', timeout=1)"
    )
    bare = write_notebook(
        tmp_path / "01.ipynb", "import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)"
    )
    assert course.main([str(path), str(bare), "--out", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "00: cell 1: URLError" in said
    assert "01: cell 1: ConnectionRefusedError: the tests run without network" in said


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
