"""`geolib fetch`: what does not ship with the clone."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from functools import partial

import geolib
from geolib.app.terminal import _print_lines, _printable
from geolib.common.files import cache_path


def _fetch(options: argparse.Namespace) -> int:
    _refuse_strangers(options)
    if options.name in ("postcards", "gallery"):
        print(f"{options.name} ships with the clone: there is nothing to fetch")
        return 0
    if options.name in _FETCHERS:
        return _FETCHERS[options.name](options)
    from geolib.datasets.reference import LAYOUTS

    kind, _, path = options.name.partition(":")
    if path and kind in ("folder", "table", "commons", "osv5m", *LAYOUTS):
        return _report(options.name)
    if options.name in LAYOUTS:
        known = LAYOUTS[options.name]
        raise ValueError(
            f"{known.title}: geolib does not fetch it, its pictures being others' to give. To get it: {known.get}"
        )
    model, _, pretrained = options.name.partition("/")
    if not pretrained:
        raise ValueError(
            f"nothing called {options.name!r} can be fetched in this version; expected an encoder of open_clip such as "
            f"ViT-L-14/openai, or {', '.join(_FETCHERS)}. The datasets postcards and gallery ship with the clone"
        )
    encoder = geolib.Encoder.load(
        model, pretrained, device="cpu", revision=options.revision, allow_pickle=options.allow_pickle
    )
    print(f"{options.name} is here: vectors of {encoder.dim} numbers")
    print(
        "{file} of {repository}, {size:.2f} GB\n  revision {revision}\n  sha256 {sha256}".format(
            size=encoder.weights["bytes"] / 1e9, **encoder.weights
        )
    )
    return 0


_TAKES = {
    "commons": {"photos", "width", "seed", "manifest", "contact", "out"},
    "osv5m": {"shards", "revision", "out"},
    "osv5m-quadtree": {"out"},
    "an encoder": {"revision", "allow_pickle"},
}


def _refuse_strangers(options: argparse.Namespace) -> None:
    """Refuse an option that belongs to something else, rather than fetch with less than was asked."""
    known = {key for takes in _TAKES.values() for key in takes}
    given = {key for key in known if getattr(options, key) not in (None, False)}
    kind = "an encoder" if "/" in options.name and ":" not in options.name else options.name
    if strangers := sorted(given - _TAKES.get(kind, set())):
        raise ValueError(f"fetch {options.name} does not take --{strangers[0].replace('_', '-')}")


def _report(name: str) -> int:
    from geolib.datasets.report import format_report, survey

    dataset = geolib.open_dataset(name)
    _print_lines(format_report(survey(dataset, progress=True)))
    print(_printable(f"nothing had to be fetched; it opens as {name}"))
    return 0


def _fetch_commons(options: argparse.Namespace) -> int:
    from geolib.common.download import check_contact
    from geolib.datasets import commons
    from geolib.datasets.report import format_report

    try:
        check_contact(options.contact)
    except ValueError as error:
        raise ValueError(f"--{error}") from None
    seed = options.seed or 0
    if seed < 0:
        raise ValueError(f"--seed {seed}: expected 0 or more")
    out = options.out or cache_path("commons")
    report = commons.fetch(
        out,
        options.contact,
        photos=options.photos,
        width=options.width,
        seed=seed,
        manifest=options.manifest,
        api=os.environ.get("GEOLIB_COMMONS_API") or commons.API,
        progress=True,
    )
    _print_lines(format_report(report))
    asked = "" if options.out is None else f":{out}"
    print(_printable(f"in {out}; it opens as commons{asked}, manifest.jsonl in it is for sharing"))
    return 0


def _fetch_osv5m(options: argparse.Namespace) -> int:
    from geolib.datasets.osv5m import fetch_osv5m

    if options.shards is not None and options.shards < 1:
        raise ValueError(f"--shards {options.shards}: expected at least 1")
    out = options.out or cache_path("osv5m")
    tell = partial(print, file=sys.stderr, flush=True)
    _print_lines(str(fetch_osv5m(options.shards, folder=out, revision=options.revision, progress=tell)))
    asked = "" if options.out is None else f":{out}"
    print(_printable(f"in {out}; it opens as osv5m{asked}"))
    return 0


def _fetch_quadtree(options: argparse.Namespace) -> int:
    from geolib.datasets.reference import fetch_quadtree

    path, report = fetch_quadtree(options.out, progress=partial(print, file=sys.stderr, flush=True))
    print(report)
    print(_printable(f"in {path}"))
    return 0


_FETCHERS: dict[str, Callable[[argparse.Namespace], int]] = {
    "commons": _fetch_commons,
    "osv5m": _fetch_osv5m,
    "osv5m-quadtree": _fetch_quadtree,
}
