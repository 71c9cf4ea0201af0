"""The runner of the course, tools/course.py. (`make test` also runs all notebooks, with nbmake.)"""

import re
import sys
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import course  # noqa: E402


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
