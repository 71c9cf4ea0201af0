"""The repository is consistent: one list of packages, pins within its bounds, CI and Makefile in step, links."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import links  # noqa: E402

# What conda-forge calls differently from PyPI.
CONDA_NAMES = {"torch": "pytorch", "playwright": "playwright-python"}


def requirements():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    lines = project["dependencies"] + extras["notebooks"] + extras["postcards"] + extras["dev"]
    return {canonicalize_name(r.name): r for r in map(Requirement, lines)}


def constraints():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def test_pyproject_and_environment_name_the_same_packages_with_the_same_bounds():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    conda = [line for line in environment["dependencies"] if isinstance(line, str)]
    pip = next(line["pip"] for line in environment["dependencies"] if isinstance(line, dict))
    assert environment["channels"] == ["conda-forge", "nodefaults"]
    assert pip[-1] == "-e ."
    named = {canonicalize_name(r.name): str(r.specifier) for r in map(Requirement, conda + pip[:-1])}
    python = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert named.pop("python") == python
    assert "pip" in named and named.pop("pip") == ""
    assert named == {CONDA_NAMES.get(name, name): str(r.specifier) for name, r in requirements().items()}


def test_constraints_pin_every_package_within_its_bounds():
    pins = constraints()
    for name, requirement in requirements().items():
        assert name in pins, f"{name} is not pinned in constraints.txt"
        assert pins[name] in requirement.specifier, f"{name}=={pins[name]} is outside {requirement.specifier}"


def test_constraints_hold_names_and_public_versions_only():
    for name, version in constraints().items():
        assert name == canonicalize_name(name)
        assert re.fullmatch(r"\d+(\.\d+)*(\.?(post|rc|a|b)\d+)?", version), f"{name}=={version}"


def test_every_bound_has_its_reason_beside_it():
    text = (ROOT / "pyproject.toml").read_text()
    block = text[text.index("\ndependencies = [") : text.index("[project.optional-dependencies]")]
    lines = [line for line in block.splitlines() if line.startswith('  "')]
    assert len(lines) > 10
    assert [line for line in lines if "#" not in line] == []


def test_ci_runs_lint_test_and_course_and_nothing_else():
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    commands = [line for line in lines if line and not line.startswith("#")]
    assert commands[:2] == ["set -euo pipefail", 'cd "$(dirname "$0")/.."']
    assert commands[2].startswith("if ") and commands[-4] == "fi", "Chromium, for the browser test"
    assert re.findall(r"apt-get install .*? (\w+) \|\|", "\n".join(commands)) == ["chromium"]
    assert commands[-3:] == ["make lint", "make test", "make course"]
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111


def test_make_help_names_every_target():
    said = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert all(f"make {target}" in said for target in phony[1].split())


# Links that open a notebook elsewhere

ROWS = "| notebook | you will |\n|---|---|\n| [00 Tour](notebooks/00_tour.ipynb) | locate | 1 |\n"


def test_links_are_made_from_the_paths_and_replaced_when_made_again():
    once = links.with_links(ROWS, "ada/geolib", "main")
    colab = "https://colab.research.google.com/github/ada/geolib/blob/main/notebooks/00_tour.ipynb"
    binder = "https://mybinder.org/v2/gh/ada/geolib/main?labpath=notebooks%2F00_tour.ipynb"
    row = f"| [00 Tour](notebooks/00_tour.ipynb) · [Colab]({colab}) · [Binder]({binder}) | locate | 1 |\n"
    assert once == ROWS.replace("| [00 Tour](notebooks/00_tour.ipynb) | locate | 1 |\n", row)
    assert links.with_links(links.with_links(once, "x/y", "dev"), "ada/geolib", "main") == once


def test_the_readme_has_a_row_for_every_notebook(tmp_path, capsys):
    copy = tmp_path / "README.md"
    copy.write_text((ROOT / "README.md").read_text(encoding="utf-8"), encoding="utf-8")
    assert links.main(["ada/geolib", "--readme", str(copy)]) == 0, capsys.readouterr().err
    assert copy.read_text(encoding="utf-8").count("[Binder]") == len(list((ROOT / "notebooks").glob("[0-9]*.ipynb")))
    assert links.main(["nowhere", "--readme", str(copy)]) == 2
    copy.write_text("no table")
    assert links.main(["ada/geolib", "--readme", str(copy)]) == 1
    assert "00_tour.ipynb" in capsys.readouterr().err


def test_binder_installs_the_pinned_versions():
    folder = ROOT / ".binder"
    lines = [line for line in (folder / "requirements.txt").read_text().splitlines() if not line.startswith("#")]
    (pins,) = [line.removeprefix("-c ") for line in lines if line.startswith("-c ")]
    assert (folder / pins).resolve() == ROOT / "constraints.txt"
    assert "-e .[notebooks,postcards]" in lines
    python = (folder / "runtime.txt").read_text().strip()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert python == f"python-{project.removeprefix('>=')}"


# One version, one name, the same tools everywhere


def tracked_texts():
    """Path and content of every tracked text file, except this one."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    kinds = {".md", ".py", ".ipynb", ".toml", ".yml", ".yaml", ".txt", ".cff", ""}
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if path.suffix in kinds and path != Path(__file__).resolve() and path.is_file():
            yield name, path.read_text(encoding="utf-8")


def test_the_distribution_is_not_called_as_the_one_on_pypi():
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["name"] == "geolib-course"
    wrong = re.compile(r"pip3? install (-\S+ )*geolib\b(?!-course)")
    assert [name for name, text in tracked_texts() if wrong.search(text)] == []


def test_the_citation_has_the_version_of_the_library():
    version = re.search(r'__version__ = "(.+)"', (ROOT / "geolib" / "_version.py").read_text())[1]
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == version


def test_pre_commit_runs_the_pinned_ruff():
    (hooks,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert hooks["rev"] == f"v{constraints()['ruff']}"


def test_github_actions_run_the_targets_of_ci():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    targets = workflow["jobs"]["make"]["strategy"]["matrix"]["target"]
    commands = (ROOT / ".ci" / "run").read_text().splitlines()[-3:]
    assert [f"make {target}" for target in targets] == commands
