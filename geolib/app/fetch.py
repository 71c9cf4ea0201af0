"""`geolib fetch`: download what does not ship with the clone, and look through datasets on disk."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import geolib
from geolib.app.terminal import message, print_lines, printable

DEBUG_HELP = "show the traceback of an error"


def add_fetch(commands: Any) -> None:
    """Add `fetch` and its sub-commands to the parser of `geolib`."""

    def source(name: str, run: Any, text: str, out: bool = False) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = sources.add_parser(name, help=text, description=text)
        parser.set_defaults(run=run)
        parser.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=DEBUG_HELP)
        if out:
            parser.add_argument("--out", type=Path, metavar="FOLDER", help="where to put it (default: geolib's cache)")
        return parser

    text = "Download what does not ship with the clone. The postcards and the gallery ship with it."
    sources = commands.add_parser("fetch", help=text, description=text).add_subparsers(required=True, metavar="WHAT")

    commons = source("commons", _commons, "Photographs of Wikimedia Commons, spread over land and countries.", out=True)
    commons.add_argument("--contact", metavar="ADDRESS", help="your e-mail or web address; the operators ask for one")
    commons.add_argument("--photos", type=int, metavar="N", help="number of photographs (default: 10000)")
    commons.add_argument("--width", type=int, metavar="PIXELS", help="width (default: 500); 0 fetches the originals")
    commons.add_argument("--seed", type=int, default=0, metavar="S", help="which places are asked for (default: 0)")
    commons.add_argument("--manifest", type=Path, metavar="FILE", help="fetch the files that this manifest.jsonl lists")

    osv5m = source("osv5m", _osv5m, "Shards of OSV-5M: street-level photographs of Mapillary.", out=True)
    osv5m.add_argument("--shards", type=int, metavar="N", help="shards per side, training and test (default: all)")
    osv5m.add_argument("--revision", metavar="COMMIT", help="version on the hub (default: the newest)")

    encoder = source("encoder", _encoder, "Weights of an open_clip encoder from the Hugging Face hub.")
    encoder.add_argument("name", metavar="MODEL/PRETRAINED", help="for example ViT-L-14/openai")
    encoder.add_argument("--revision", metavar="COMMIT", help="version on the hub (default: the newest)")
    encoder.add_argument("--allow-pickle", action="store_true", help="accept a pickle file, which can run code")

    source("quadtree", _quadtree, "The 11,399 geocells of OSV-5M, to compare with (1.3 MB).", out=True)

    look = source("look", _look, "Look through a dataset on disk and report what it holds. Downloads nothing.")
    look.add_argument("dataset", metavar="DATASET", help="folder:PATH, table:PATH, or im2gps3k:PATH and the like")


def _commons(options: argparse.Namespace) -> int:
    from geolib.common.download import check_contact
    from geolib.common.files import cache_path
    from geolib.datasets import commons
    from geolib.datasets.report import format_report

    if options.seed < 0:
        raise ValueError(f"--seed {options.seed}: expected 0 or more")
    out = options.out or cache_path("commons")
    report = commons.fetch(
        out,
        check_contact(options.contact),
        photos=options.photos,
        width=options.width,
        seed=options.seed,
        manifest=options.manifest,
        progress=True,
    )
    print_lines(format_report(report))
    _print_place("commons", out, options.out)
    print("Others can fetch the same files with --manifest and its manifest.jsonl.")
    return 0


def _osv5m(options: argparse.Namespace) -> int:
    from geolib.common.files import cache_path
    from geolib.datasets.osv5m import fetch_osv5m, format_osv5m

    out = options.out or cache_path("osv5m")
    report = fetch_osv5m(options.shards, folder=out, revision=options.revision, progress=message)
    print_lines(format_osv5m(report))
    _print_place("osv5m", out, options.out)
    return 0


def _print_place(dataset: str, out: Path, named: Path | None) -> None:
    """Say where the photographs are and how to open them, by a longer name if the folder is a `named` one."""
    name = f"{dataset}:{out}" if named else dataset
    print(printable(f"The photographs are in {out}. Open them as {name}."))


def _encoder(options: argparse.Namespace) -> int:
    model, _, pretrained = options.name.partition("/")
    if not pretrained:
        raise ValueError(f"{options.name}: expected MODEL/PRETRAINED of open_clip, such as ViT-L-14/openai")
    how = {"revision": options.revision, "allow_pickle": options.allow_pickle}
    encoder = geolib.Encoder.load(model, pretrained, device="cpu", **how)
    weights = encoder.weights
    print(f"{options.name} is ready: vectors of {encoder.dim} numbers")
    print(f"{weights['file']} of {weights['repository']}, {weights['bytes'] / 1e9:.2f} GB")
    print(f"  revision {weights['revision']}\n  sha256 {weights['sha256']}")
    return 0


def _quadtree(options: argparse.Namespace) -> int:
    from geolib.datasets.reference import fetch_quadtree

    path, report = fetch_quadtree(options.out, progress=message)
    print(report.to_string())
    print(printable(f"The table is {path}."))
    return 0


def _look(options: argparse.Namespace) -> int:
    from geolib.datasets.report import format_report, survey

    if options.dataset in ("postcards", "gallery"):
        raise ValueError(f"{options.dataset} ships with the clone: read data/{options.dataset}/README.md")
    print_lines(format_report(survey(geolib.open_dataset(options.dataset), progress=True)))
    return 0
