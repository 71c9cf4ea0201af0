"""Write links that open each notebook in Colab and on Binder into the README's table of notebooks.

    python tools/links.py [OWNER/NAME] [--branch main]

The links are made from the notebooks' paths and the GitHub repository, by default that of the git remote `origin`.
A notebook without a row in the table is named, and nothing is written.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

from geolib.common.files import write_bytes

ROOT = Path(__file__).resolve().parent.parent
_ROW = re.compile(r"^\| \[[^\]]+\]\((?P<path>notebooks/[^)]+\.ipynb)\)(?P<links> · .*?)? \|(?P<rest>.*)$", re.MULTILINE)
_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def origin() -> str:
    """`OWNER/NAME` of the remote `origin` when that is on GitHub, else an empty string."""
    command = ["git", "remote", "get-url", "origin"]
    url = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    found = re.fullmatch(r"(?:https://github\.com/|git@github\.com:)(.+?)(?:\.git)?/?", url)
    return found[1] if found else ""


def links(path: str, repository: str, branch: str) -> str:
    """Markdown links that open one notebook in Colab and on Binder."""
    colab = f"https://colab.research.google.com/github/{repository}/blob/{branch}/{path}"
    binder = f"https://mybinder.org/v2/gh/{repository}/{branch}?labpath={path.replace('/', '%2F')}"
    return f"[Colab]({colab}) · [Binder]({binder})"


def with_links(readme: str, repository: str, branch: str) -> str:
    """The README's text with links in the row of every notebook; older ones are replaced."""

    def row(match: re.Match[str]) -> str:
        named = match[0][: match.start("links") - match.start()] if match["links"] else match[0].split(" |", 1)[0]
        return f"{named} · {links(match['path'], repository, branch)} |{match['rest']}"

    return _ROW.sub(row, readme)


def main(argv: list[str] | None = None) -> int:
    """Write the links; 0 when every notebook has its row."""
    parser = argparse.ArgumentParser(description="Write Colab and Binder links into the README's table of notebooks.")
    parser.add_argument("repository", nargs="?", default=origin(), help="OWNER/NAME on GitHub (default: git's origin)")
    parser.add_argument("--branch", default="main")
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md")
    options = parser.parse_args(argv)
    if not _NAME.fullmatch(options.repository):
        print(f"no repository {options.repository!r}: give OWNER/NAME, such as ada/geolib", file=sys.stderr)
        return 2
    text = options.readme.read_text(encoding="utf-8")
    rows = {match["path"] for match in _ROW.finditer(text)}
    missing = [p.name for p in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")) if f"notebooks/{p.name}" not in rows]
    if missing:
        print(f"{options.readme.name} has no row for {', '.join(missing)}: add it to the table first", file=sys.stderr)
        return 1
    write_bytes(options.readme, with_links(text, options.repository, options.branch).encode())
    print(f"{len(rows)} rows link to {options.repository}, branch {options.branch}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
