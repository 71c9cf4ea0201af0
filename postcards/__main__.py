"""`python -m postcards`: make the postcards, their encoder and their embeddings again.

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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m postcards", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    everything = commands.add_parser(
        "build", help="all of data/postcards from nothing: table, encoder, embeddings, pictures"
    )
    tables = commands.add_parser("tables", help="lettering, photo table and sample pictures only")
    train = commands.add_parser("train-encoder", help="train the small CLIP from scratch on other postcards")
    embed = commands.add_parser("embed", help="draw every postcard and write the embeddings that ship with the clone")
    sheet = commands.add_parser("sheet", help="draw the contact sheet and the six belts")
    measured = commands.add_parser("report", help="measure what the encoders reach: REPORT.md, report.json, figures")
    measured.add_argument("--scenes", type=int, default=1000, help="postcards drawn again for each group of cues")
    measured.add_argument(
        "--pixels", type=int, default=None, help="most training postcards to draw for the baselines (default: all)"
    )
    measured.add_argument("--seed", type=int, default=0, help="seeds heads, choices of scenes, and intervals")
    for command in (everything, tables, train, embed, sheet, measured):
        command.add_argument("--workers", type=int, default=os.cpu_count(), help="processes that draw")
    for command in (everything, tables):
        command.add_argument(
            "--fonts", type=Path, default=Path("/usr/share/fonts"), help="where Debian keeps Noto fonts"
        )
    for command in (everything, train):
        command.add_argument(
            "--steps", type=int, default=None, help="steps of 256 scenes in all (default: the recipe's)"
        )
        command.add_argument("--device", default="cpu", help="cpu or cuda")
    train.add_argument("--no-names", action="store_true", help="captions never name a place")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        _run(options, data_path("postcards"))
    except GeolibError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130
    return 0


def _run(options: argparse.Namespace, out: Path) -> None:
    if options.command == "report":
        from postcards.report import report

        report(out, options.scenes, options.seed, pixels=options.pixels, workers=options.workers or 1)
        print(f"wrote {out / 'REPORT.md'}, report.json and two figures")
        return
    from postcards import build, pictures, train

    if options.command in {"build", "tables"}:
        build.build(out, options.fonts, options.workers)
    if options.command in {"build", "train-encoder"}:
        recipe = train.Recipe()
        if options.steps:
            share = options.steps / recipe.all_steps
            scaled = {name: round(share * getattr(recipe, name)) for name in ("steps", "first_steps", "place_steps")}
            recipe = replace(recipe, **scaled)
        table = build.encoder_places()
        endings = build.ENCODERS if options.command == "build" else [build.ENCODERS[options.no_names]]
        for ending in endings:
            mine = replace(recipe, named_share=0.0) if ending else recipe
            train.train(table, out / f"encoder{ending}", mine, options.device, options.workers)
    if options.command in {"build", "embed"}:
        build.embed(out, options.workers)
    if options.command in {"build", "sheet"}:
        pictures.contact_sheet(out)
        pictures.six_belts(out)


if __name__ == "__main__":
    sys.exit(main())
