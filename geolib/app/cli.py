"""The command `geolib` (also `python -m geolib`): predict, embed, fit, evaluate, ablate, fetch, push, pull, info.

Exit status: 0 when everything worked; 1 when some photos could not be read, or at a fault that geolib does not expect;
2 when a command cannot be carried out; 130 when it was interrupted. Errors are one line on stderr; `--debug` adds the
traceback.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import geolib
from geolib.app.fetch import DEBUG_HELP, add_fetch
from geolib.app.terminal import message, printable, show_epoch, show_warning
from geolib.common.errors import GeolibError, MismatchError, MissingDataError
from geolib.common.settings import Settings
from geolib.common.texts import one_line

_MODEL_HELP = (
    "folder of a saved model (default: the one that ships, or one fitted on GEOLIB_DATASET with GEOLIB_ENCODER)"
)

_SPLIT_HELP = (
    "what is new in the test photos: their photographers, or also their places, 50 km from any training photo "
    "(default: the dataset's own split, else photographers where they are known, else places)"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command, `argv` without the program's name (default: that of the process); returns its exit status.

    >>> main(["predict", "photo.jpg", "--model", "no-such-folder"])
    2
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # letters that the terminal lacks are escaped
    words = sys.argv[1:] if argv is None else argv
    options = make_parser().parse_args(words)
    try:
        if any(re.fullmatch(r"(--[a-z-]+=)?", word) for word in words):  # Path("") is the current folder
            raise ValueError("an argument is empty, as of a shell variable without value: expected a name")
        with warnings.catch_warnings():
            warnings.showwarning = show_warning
            status = int(options.run(options))
            if sys.stdout:  # None where it is closed
                sys.stdout.flush()
            return status
    except KeyboardInterrupt:
        message("interrupted")
        return 130
    except BrokenPipeError:  # the reader, for example `head`, has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if options.debug:
            traceback.print_exc()
        expected = isinstance(error, GeolibError | ValueError | OSError)
        fault = f"{type(error).__name__}: {one_line(error, 500)}. The same command with --debug shows where"
        message(f"error: {error}" if expected else f"error: {fault}")
        return 2 if expected else 1


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(prog="geolib", description="Photo geolocation in the open.")
    parser.add_argument("--version", action="version", version=f"geolib {geolib.__version__}")
    parser.add_argument("--debug", action="store_true", help=DEBUG_HELP)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
        made.set_defaults(run=run)
        made.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=DEBUG_HELP)
        return made

    predict = command("predict", _predict, "Estimate where photos were taken.")
    predict.add_argument("photos", nargs="+", metavar="PHOTO", help="image file, or a folder with image files")
    predict.add_argument("--top-k", type=int, default=5, metavar="K", help="places per photo (default: 5)")
    predict.add_argument("--model", type=Path, help=_MODEL_HELP)
    predict.add_argument("--json", action="store_true", help="print the answers as one JSON list")
    predict.add_argument("--map", type=Path, metavar="OUT.png", help="draw the posterior of one photo on a map")

    embed = command("embed", _embed, "Embed the photos of a dataset or folder.")
    embed.add_argument("photos", metavar="DATASET|FOLDER", help="name of a dataset, or a folder of image files")
    _add_names(embed, "encoder")
    embed.add_argument("--out", type=Path, required=True, help="folder of the embedding store")

    fit = command("fit", _fit, "Fit geocells and heads on a dataset, and save the model.")
    _add_names(fit, "dataset", "encoder")
    fit.add_argument("--split", choices=("auto", "photographers", "places"), default="auto", help=_SPLIT_HELP)
    fit.add_argument("--cells", metavar="N,N,...", help="cells per level, coarse first (default: by number of photos)")
    preset = "default, or article: its four linear heads, consistency filter, and centre of the likeliest cell"
    fit.add_argument("--preset", choices=("default", "article"), default="default", help=preset)
    fit.add_argument("--fusion", metavar="RULE", help="fusion rule, in place of the preset's")
    fit.add_argument("--decoding", metavar="RULE", help="decoding rule, in place of the preset's")
    fit.add_argument("--epochs", type=int, help="at most this many epochs (default: those of the preset)")
    fit.add_argument("--out", type=Path, required=True, help="folder of the model")

    evaluate = command("evaluate", _evaluate, "Measure a model on unseen photos, beside two baselines.")
    evaluate.add_argument("--model", type=Path, help=_MODEL_HELP)
    evaluate.add_argument("--dataset", help="dataset to test on; another than the model's is tested on all its photos")
    evaluate.add_argument("--gallery", metavar="DATASET", help="the training photos, if they are not found by name")
    evaluate.add_argument("--card", action="store_true", help="write the results on the model's card")

    ablate = command("ablate", _ablate, "Measure what each part of the pipeline contributes.")
    _add_names(ablate, "dataset", "encoder")
    ablate.add_argument("--epochs", type=int, default=30, help="at most this many epochs per training (default: 30)")
    ablate.add_argument("--out", type=Path, required=True, help="folder of the results; an interrupted run is resumed")

    add_fetch(commands)

    push = command("push", _push, "Upload a saved model to the Hugging Face hub.")
    push.add_argument("folder", type=Path, metavar="FOLDER")
    push.add_argument("repository", metavar="OWNER/NAME")
    push.add_argument("--public", action="store_true", help="make the repository public (default: private)")
    push.add_argument("--i-have-read-responsible-use", dest="read", action="store_true", help="needed for photographs")
    pull = command("pull", _pull, "Download a model from the Hugging Face hub.")
    pull.add_argument("repository", metavar="OWNER/NAME")
    pull.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="folder of the model")
    pull.add_argument("--revision", metavar="COMMIT", help="version on the hub (default: the newest)")
    command("info", _info, "Print versions, device and settings.")
    return parser


def _add_names(parser: argparse.ArgumentParser, *names: str) -> None:
    for name in names:
        parser.add_argument(f"--{name}", help=f"default: the variable GEOLIB_{name.upper()}, else postcards")


def _predict(options: argparse.Namespace) -> int:
    if options.top_k < 1:
        raise ValueError(f"--top-k {options.top_k}: expected at least 1")
    if options.map and options.map.suffix.lower() != ".png":
        raise ValueError(f"--map {options.map}: maps are PNG files; expected a name that ends in .png")
    photos = [photo for name in options.photos for photo in _expand(name)]
    if options.map and len(photos) != 1:
        raise ValueError(f"--map draws one photo, {len(photos)} were given")
    model = _load_model(options.model, Settings.from_env())
    rows = []
    for name, problem in photos:
        answer = geolib.Failure(name, problem) if problem else model.predict_many([name], options.top_k)[0]
        rows.append(_as_json(name, answer))
        if not options.json:
            _print_row(rows[-1])
        if options.map and not isinstance(answer, geolib.Failure):
            from geolib import plots
            from geolib.common.files import write_bytes

            write_bytes(options.map, plots.png(answer.plot()))
    if options.json:
        print(json.dumps(rows, indent=1))
    elif model.training.get("dataset") == "postcards":
        message("note: this model was trained on drawn postcards only; expect little of it on photographs")
    return int(any("refused" in row for row in rows))


def _expand(name: str) -> list[tuple[str, str]]:
    """(photo, "") for an image file or every image file in a folder; (folder, problem) for a folder without any."""
    from geolib.datasets.folder import pictures

    if not Path(name).is_dir():
        return [(name, "")]
    try:
        return [(str(path), "") for path in pictures(name)]
    except MissingDataError as error:
        return [(name, str(error))]


def _as_json(name: str, answer: geolib.Prediction | geolib.Failure) -> dict[str, Any]:
    from geolib.countries import country_name
    from geolib.datasets.commons import credit

    if isinstance(answer, geolib.Failure):
        return {"photo": name, "refused": answer.reason}
    fields = ("familiar", "distance", "familiar_below", "warning", "lat", "lon", "confidence", "radius_km")
    top = answer.to_frame()[["lat", "lon", "probability", "country"]].astype(object)
    top["country"] = [country_name(code) or "open sea" for code in top["country"]]
    row = {
        "photo": name,
        **{field: getattr(answer, field) for field in fields},
        "entropy_bits": answer.entropy,
        "sentence": answer.sentence(),
        "top": top.where(top.notna(), None).to_dict("records"),
        "credit": credit(Path(name)),
    }
    return row | (dict.fromkeys(("radius_km", "entropy_bits")) if answer.familiar is False else {})


def _print_row(row: dict[str, Any]) -> None:
    """Print the answer to one photo, as `_as_json` returns it."""
    if "refused" in row:
        message(f"refused: {row['refused']}")
        return
    print(printable(row["photo"]))
    guess = row["sentence"].removeprefix(row["warning"]).strip()
    for line in filter(None, (row["warning"], guess)):
        print(f"  {line}")
    for rank, place in enumerate(row["top"], start=1):
        share = "     ?" if place["probability"] is None else f"{place['probability']:6.1%}"
        print(f"  {rank:2}  {place['lat']:7.2f} {place['lon']:8.2f}  {share}  {place['country']}")
    if row["credit"]:
        print(printable(f"  photo: {row['credit']}"))


def _embed(options: argparse.Namespace) -> int:
    from geolib.datasets.folder import pictures
    from geolib.datasets.openers import OPENERS

    if Path(options.photos).is_dir() and options.photos not in OPENERS:  # the clone has a folder called postcards
        paths: Any = pictures(options.photos)
        ids = [path.relative_to(options.photos).as_posix() for path in paths]
    else:
        dataset = geolib.open_dataset(options.photos)
        paths, ids = dataset.paths, list(dataset.photos.index)
    store = geolib.embed_photos(_load_encoder(options.encoder), paths, ids, options.out, progress=True)
    for photo, reason in store.failures:
        message(f"left out {photo}: {reason}")
    print(f"{len(store.ids):,} vectors of {store.vectors.shape[1]} numbers in {printable(str(options.out))}")
    return int(bool(store.failures))


def _fit(options: argparse.Namespace) -> int:
    from geolib import decoding, fusion
    from geolib.predict import PRESETS
    from geolib.sharing.model_folder import check_target

    check_target(options.out)  # before hours of embedding, not after
    for name, rules in (("fusion", fusion.RULES), ("decoding", decoding.RULES)):
        if getattr(options, name) not in (None, *rules):
            raise ValueError(f"--{name} {getattr(options, name)}: expected one of {', '.join(rules)}")
    cells: Sequence[int] | str = "auto"
    if options.cells:
        if not all(number.strip().isdecimal() for number in options.cells.split(",")):
            raise ValueError(f"--cells {options.cells}: expected whole numbers such as 100,1000")
        cells = tuple(int(number) for number in options.cells.split(","))
    how = PRESETS[options.preset]["options"]
    how = how if options.epochs is None else replace(how, epochs=options.epochs)
    settings = Settings.from_env()
    dataset, encoder = geolib.open_dataset(options.dataset), _load_encoder(options.encoder)
    model = geolib.Geolocator.fit_dataset(
        dataset,
        encoder,
        split=options.split,
        cells_per_level=cells,
        preset=options.preset,
        fusion=options.fusion,
        decoding=options.decoding,
        options=how,
        device=settings.device,
        seed=settings.seed,
        progress=show_epoch,
    )
    model.save(options.out)
    _report_unreadable(dataset, encoder)
    if model.tree.n_cells[-1] == 1:
        message("note: there is one cell for the whole Earth, so all answers will be the same; use more photos")
    print(f"{model.tree}\n{model.training['epochs']} epochs; saved in {printable(str(options.out))}")
    return 0


def _report_unreadable(dataset: geolib.Dataset, encoder: geolib.Encoder) -> None:
    """Say how many photos have no embedding, and why the first of them has none."""
    failures = dataset.embeddings(encoder).failures
    if failures:
        photo, reason = failures[0]
        message(f"note: photos of {dataset.name} left out: {len(failures):,}, such as {photo}: {reason}")


def _ablate(options: argparse.Namespace) -> int:
    from geolib.judge.ablate import run

    if options.epochs < 1:
        raise ValueError(f"--epochs {options.epochs}: expected at least 1")
    settings = Settings.from_env()
    run(
        geolib.open_dataset(options.dataset),
        _load_encoder(options.encoder),
        options.out,
        seed=settings.seed,
        epochs=options.epochs,
        device=settings.device,
        n_boot=settings.pick(1000, 100),
        progress=message,
    )
    print((options.out / "ablation.md").read_text(encoding="utf-8"))
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    from geolib.evaluate import format_table
    from geolib.judge import model as judge
    from geolib.judge import published
    from geolib.sharing.card import against

    if options.card and not options.model:
        raise ValueError("--card writes on the card of a saved model: name the model with --model")
    settings = Settings.from_env()
    asked = options.dataset or settings.dataset
    kind = asked.partition(":")[0]
    # Nobody fits on a benchmark: without --model, the model is the one of the course's dataset.
    own = settings if kind in published.BENCHMARKS else replace(settings, dataset=asked)
    model = _load_model(options.model, own)
    fitted_on = str(model.training.get("dataset", kind))
    if options.dataset is None and fitted_on != kind:
        raise ValueError(f"the model was fitted on {fitted_on!r}: name the dataset to test on with --dataset")
    other = options.gallery is not None or fitted_on != kind
    gallery = _find_gallery(model, options.gallery, settings) if other else None
    dataset = geolib.open_dataset(asked)
    if not other and model.training.get("dataset_key") not in (None, dataset.labels_key(model.encoder)):
        raise MismatchError(
            f"the photos of {asked}, or their labels, are not those that the model was fitted on: name these with "
            f"--gallery, as in --gallery {kind}:PATH. They tell which photos the model has seen, and the baselines "
            "need them. If they have changed since, fit the model again"
        )
    table = judge.evaluate(model, dataset, gallery=gallery)
    _report_unreadable(dataset, model.encoder)
    print(f"{'all' if other else 'test'} photos of {asked}; the model was fitted on {fitted_on}")
    print(_describe_overlap(table.attrs["overlap"]))
    print(published.beside(table) if kind == "im2gps3k" else format_table(table).T.to_string())
    print(f"In brackets: {'; '.join(dict.fromkeys(table['interval']))}.")
    for baseline, row in table.attrs["against"].items():
        print(against(baseline, row))
    if options.card:
        judge.record(model, dataset, table)
        model.save(options.model)
        print(f"The results are on the card: {printable(str(options.model / 'README.md'))}")
    return 0


def _describe_overlap(overlap: dict[str, Any] | None) -> str:
    """Sentence on the photographers that test and training photos share."""
    if overlap is None:
        return "It is not known whether photographers of these photos also took training photos."
    return (
        f"The photographer of {overlap['known']:,} photos is known. {overlap['photos']:,} photos "
        f"({overlap['share']:.1%}) are by {overlap['photographers']:,} photographers who also took training photos."
    )


def _find_gallery(model: geolib.Geolocator, name: str | None, settings: Settings) -> geolib.Dataset | None:
    """The dataset that a model was fitted on: as named, or by the name in the model if its photos are the same."""

    if name:
        return geolib.open_dataset(name)
    fitted_on = str(model.training.get("dataset"))
    try:
        found = geolib.open_dataset(settings.dataset if settings.dataset.partition(":")[0] == fitted_on else fitted_on)
        if found.labels_key(model.encoder) == model.training.get("dataset_key"):
            return found
        why = "its photos are not those that the model was fitted on"
    except (GeolibError, ValueError) as error:
        why = str(error)
    message(f"note: no baselines, because they need the training photos of {fitted_on} (--gallery): {why}")
    return None


def _push(options: argparse.Namespace) -> int:
    from geolib.sharing.hub import push

    print(push(options.folder, options.repository, public=options.public, i_have_read_responsible_use=options.read))
    return 0


def _pull(options: argparse.Namespace) -> int:
    from geolib.sharing.hub import pull

    commit = pull(options.repository, options.out, revision=options.revision)
    print(printable(f"{options.repository} at {commit} is in {options.out}"))
    return 0


def _info(options: argparse.Namespace) -> int:
    from geolib.common.files import cache_path
    from geolib.sharing.model_folder import versions

    try:
        device = _load_encoder(None).reason
    except (GeolibError, ValueError) as error:
        device = f"no encoder: {error}"
    rows = {**versions(), **asdict(Settings.from_env()), "runs on": device, "cache": str(cache_path())}
    for name, value in rows.items():
        print(f"{name:>16}  {printable(str(value))}")
    return 0


def _load_model(folder: Path | None, settings: Settings) -> geolib.Geolocator:
    if folder:
        return geolib.Geolocator.load(folder, device=settings.device)
    return geolib.default_model(settings, show_epoch)


def _load_encoder(name: str | None) -> geolib.Encoder:
    settings = Settings.from_env()
    settings = replace(settings, encoder=name or settings.encoder)
    return geolib.Encoder.load(*settings.encoder_name, device=settings.device)
