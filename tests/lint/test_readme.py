"""What the README prints is what its lines print."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_the_five_lines_print_what_the_readme_shows(capsys, monkeypatch):
    """The first Python block runs in the clone, and prints the text block under it."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    code, shown = re.search(r"```python\n(.*?)```\s+```text\n(.*?)```", text, re.DOTALL).groups()
    monkeypatch.chdir(ROOT)
    exec(compile(code, "README.md", "exec"), {})
    said, expected = capsys.readouterr().out, shown
    number = re.compile(r"\d[\d,.]*")
    assert number.sub("#", said) == number.sub("#", expected), "the sentence"
    got, printed = ([float(x.replace(",", "").rstrip(".")) for x in number.findall(line)] for line in (said, expected))
    assert got == pytest.approx(printed, abs=2), "another processor may round differently"
