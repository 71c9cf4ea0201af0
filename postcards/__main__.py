"""`python -m postcards build|train-encoder|report`: make the postcards, their encoder and their report again.

Everything is written to `data/postcards` of the clone, or of the folder that `GEOLIB_DATA` names.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from geolib.common.errors import GeolibError
from geolib.common.files import data_path

PARTS = ("lettering", "tables", "encoders", "embeddings", "pictures")


def make_parser() -> argparse.ArgumentParser:
    """The parser of the three commands."""
    parser = argparse.ArgumentParser(prog="python -m postcards", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="make all of data/postcards again, or one part of it")
    build.add_argument("--only", choices=PARTS, help="make only this part (default: all; lettering if missing)")
    build.add_argument("--fonts", type=Path, default=Path("/usr/share/fonts"), help="folder of Debian's Noto fonts")
    train = commands.add_parser("train-encoder", help="train the small CLIP on other postcards")
    train.add_argument("--no-names", action="store_true", help="captions never name a place")
    report = commands.add_parser("report", help="measure what the encoders reach: REPORT.md, report.json, figures")
    report.add_argument("--seed", type=int, default=0, help="seed of heads, scenes and intervals")
    for command in (build, train, report):
        command.add_argument("--workers", type=int, default=os.cpu_count(), help="processes that draw")
    for command in (build, train):
        command.add_argument("--steps", type=int, help="training steps of 256 scenes (default: the recipe's)")
        command.add_argument("--device", default="cpu", help="cpu or cuda")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    options = make_parser().parse_args(arguments)
    out = data_path("postcards")
    run = {"build": _build, "train-encoder": _train_encoder, "report": _report}[options.command]
    try:
        run(options, out)
    except (GeolibError, ModuleNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command resumes from the last checkpoint", file=sys.stderr)
        return 130
    return 0


def _build(options: argparse.Namespace, out: Path) -> None:
    from postcards import build, letters, pictures

    parts = PARTS if options.only is None else (options.only,)
    lettering = all((out / name).is_file() for name in ("lettering.png", "lettering.json"))
    if options.only == "lettering" or not lettering:  # the fonts are needed for this only
        letters.build(out, options.fonts)
    if "tables" in parts:
        build.build(out, options.workers)
    if "encoders" in parts:
        _train(options, out, build.ENCODERS[0])  # the twin without names does not ship
    if "embeddings" in parts:
        build.embed(out, options.workers)
    if "pictures" in parts:
        pictures.contact_sheet(out)
        pictures.six_belts(out)


def _train_encoder(options: argparse.Namespace, out: Path) -> None:
    from postcards import build

    _train(options, out, build.ENCODERS[options.no_names])


def _train(options: argparse.Namespace, out: Path, ending: str) -> None:
    """Train the encoder whose folder ends like this; the one that does not know names has captions without them."""
    from postcards import build, train

    recipe = train.Recipe()
    if options.steps:
        recipe = replace(recipe, steps=options.steps)
    if ending:
        recipe = replace(recipe, named_share=0.0)
    train.train(build.encoder_places(recipe.scenes), out / f"encoder{ending}", recipe, options.device, options.workers)


def _report(options: argparse.Namespace, out: Path) -> None:
    from postcards.report import report

    report(out, options.seed, options.workers or 1)
    print(f"wrote {out / 'REPORT.md'}, report.json and the figures")


if __name__ == "__main__":
    sys.exit(main())
