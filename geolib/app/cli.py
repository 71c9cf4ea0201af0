"""Command line: `python -m geolib predict PHOTO...`, and what leads up to it.

Exit status of `predict`: 0 when every photo got an answer, 1 when some were refused. Everywhere: 2 when what was asked
cannot be done, 130 when interrupted. Errors are sentences on stderr, never tracebacks.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geolib
from geolib.app.fetch import _fetch
from geolib.app.terminal import _complain, _epoch, _note, _printable
from geolib.common.errors import GeolibError, MissingDataError
from geolib.common.files import cache_path, write_bytes
from geolib.common.settings import Settings

if TYPE_CHECKING:
    from geolib import Encoder, Failure, Geolocator, Prediction


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal that cannot show a letter is no error
    options = _parser().parse_args(argv)
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _note
            status = run(options)
            sys.stdout.flush()
            return status
    except KeyboardInterrupt:
        return _complain("interrupted", 130)
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (GeolibError, ValueError, OSError) as error:
        return _complain(f"error: {error}", 2)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="geolib", description="Photo geolocation in the open.")
    parser.add_argument("--version", action="version", version=f"geolib {geolib.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        made.set_defaults(run=run)
        return made

    settings = "default: GEOLIB_%s, else postcards"
    predict = command("predict", _predict, "Say where photos may have been taken.")
    predict.add_argument("photos", nargs="+", metavar="PHOTO", help="JPEG, PNG or WEBP; a folder stands for all in it")
    predict.add_argument("--top-k", type=int, default=5, metavar="K", help="places to list for each photo (default: 5)")
    predict.add_argument("--model", type=Path, help="a saved model (default: the one for the postcards, fitted once)")
    predict.add_argument("--json", action="store_true", help="print one JSON list")
    predict.add_argument("--map", type=Path, metavar="OUT.png", help="draw the posterior of one photo")

    embed = command("embed", _embed, "Embed a dataset, or all pictures in a folder.")
    embed.add_argument("photos", metavar="DATASET|FOLDER")
    embed.add_argument("--encoder", help=settings % "ENCODER")
    embed.add_argument("--out", type=Path, required=True, help="folder of the embedding store")

    fit = command("fit", _fit, "Draw geocells and train heads on a dataset.")
    fit.add_argument("--dataset", help=settings % "DATASET")
    fit.add_argument("--encoder", help=settings % "ENCODER")
    fit.add_argument(
        "--split",
        choices=("safe", "places"),
        default="safe",
        help="safe (default): photographers and places apart; places: places only, for photos of one person",
    )
    fit.add_argument("--cells", metavar="N,N,...", help="cells per level, coarse to fine (default: by photos)")
    fit.add_argument(
        "--partition", default="quadtree", metavar="KIND", help="quadtree (default), uniform, s2 or semantic cells"
    )
    fit.add_argument("--hidden", type=int, default=0, metavar="N", help="units of a hidden layer in each head")
    fit.add_argument("--leaf-sums", action="store_true", help="one head, summed at every level, instead of one a level")
    fit.add_argument("--fusion", default="consistency", metavar="RULE", help="rule of fusion (default: consistency)")
    fit.add_argument("--decoding", default="argmax", metavar="RULE", help="rule of decoding (default: argmax)")
    fit.add_argument("--epochs", type=int, help="most epochs to train")
    fit.add_argument("--out", type=Path, required=True, help="folder of the model")

    evaluate = command("evaluate", _evaluate, "Errors on unseen photos, beside the prior and the nearest neighbour.")
    evaluate.add_argument("--model", type=Path, help="a saved model (default: the default model of the dataset)")
    evaluate.add_argument("--dataset", help=f"of another than the model's, all photos; {settings % 'DATASET'}")
    evaluate.add_argument(
        "--gallery", metavar="DATASET", help="the model's own, for the rows beside it (default: by name)"
    )
    evaluate.add_argument("--reference", action="store_true", help="what others report on Im2GPS3k (im2gps3k: always)")
    evaluate.add_argument("--card", action="store_true", help="write the figures on the model's card")

    ablate = command("ablate", _ablate, "Measure what each part of the pipeline is worth, one changed at a time.")
    ablate.add_argument("--dataset", help=settings % "DATASET")
    ablate.add_argument("--encoder", help=settings % "ENCODER")
    ablate.add_argument("--epochs", type=int, default=30, help="most epochs of a training (default: 30)")
    ablate.add_argument(
        "--out", type=Path, required=True, help="folder of the rows and the table; one that was begun is gone on with"
    )

    fetch = command("fetch", _fetch, "Fetch what does not ship with the clone, and report what is there.")
    fetch.add_argument(
        "name",
        help="commons, osv5m, osv5m-quadtree, or an encoder such as ViT-L-14/openai; folder:PATH, table:PATH and "
        "published tables such as im2gps3k:PATH are looked through",
    )
    fetch.add_argument("--photos", type=int, metavar="N", help="commons: how many (default: 10000)")
    fetch.add_argument("--width", type=int, metavar="W", help="commons: of the thumbnails (default: 500); 0: originals")
    fetch.add_argument("--seed", type=int, metavar="S", help="commons: which places are asked (default: 0)")
    fetch.add_argument("--manifest", type=Path, metavar="FILE", help="commons: fetch the same files as somebody else")
    fetch.add_argument("--contact", metavar="ADDRESS", help="commons: your e-mail or web address, for its operators")
    fetch.add_argument("--shards", type=int, metavar="N", help="osv5m: of train and of test (default: all)")
    fetch.add_argument(
        "--revision", metavar="COMMIT", help="osv5m and encoders: of which commit (default: the newest, then kept to)"
    )
    fetch.add_argument("--out", type=Path, metavar="FOLDER", help="datasets: where to (default: geolib's cache)")
    fetch.add_argument(
        "--allow-pickle", action="store_true", help="encoders: read one from a pickle, which can run code"
    )

    push = command("push", _push, "Upload a saved model to the Hugging Face hub.")
    push.add_argument("folder", type=Path, metavar="FOLDER")
    push.add_argument("repository", metavar="OWNER/NAME")
    push.add_argument("--public", action="store_true", help="for all to see (default: private)")
    push.add_argument(
        "--i-have-read-responsible-use", action="store_true", help="needed for a model that was trained on photographs"
    )
    pull = command("pull", _pull, "Download a model from the Hugging Face hub.")
    pull.add_argument("repository", metavar="OWNER/NAME")
    pull.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="folder of the model")
    pull.add_argument("--revision", metavar="COMMIT", help="default: the newest")
    command("info", _info, "Print versions, device and settings.")
    return parser


def _predict(options: argparse.Namespace) -> int:
    if options.top_k < 1:
        raise ValueError(f"--top-k {options.top_k}: expected at least 1")
    photos = [photo for name in options.photos for photo in _expanded(name)]
    if options.map and len(photos) != 1:
        raise ValueError(f"--map draws one photo, {len(photos)} were given")
    model = _model(options.model, Settings.from_env())
    answers = []
    for name, problem in photos:
        answers.append(geolib.Failure(name, problem) if problem else model.predict_many([name], options.top_k)[0])
        if not options.json:
            _print_answer(name, answers[-1])
    if model.training.get("dataset") == "postcards" and not options.json:
        print("note: this model has seen drawn postcards only; about a photograph it can but guess", file=sys.stderr)
    if options.json:
        rows = [_as_json(name, answer) for (name, _), answer in zip(photos, answers, strict=True)]
        print(json.dumps(rows, indent=1))
    if options.map and isinstance(answers[0], geolib.Prediction):
        from geolib import plots
        from geolib.plots import maps

        fig, _ = maps.plot_prediction(answers[0].posterior, model.tree, top=answers[0].top)
        if answers[0].familiar is False:
            paper = {"facecolor": "white", "edgecolor": "firebrick"}
            fig.suptitle(answers[0].warning.partition(" (")[0], y=0.985, fontsize=10, color="firebrick", bbox=paper)
        write_bytes(options.map, plots.png(fig))
    return int(any(isinstance(answer, geolib.Failure) for answer in answers))


def _expanded(name: str) -> list[tuple[str, str]]:
    """(photo, what is wrong with it) of a name; a folder gives all pictures in it, an empty one a problem."""
    from geolib.datasets.folder import pictures

    if not Path(name).is_dir():
        return [(name, "")]
    try:
        return [(str(path), "") for path in pictures(name)]
    except MissingDataError as error:
        return [(name, str(error))]


def _print_answer(name: str, answer: Prediction | Failure) -> None:
    from geolib.datasets.commons import credit

    if isinstance(answer, geolib.Failure):
        _complain(f"refused: {answer.reason}", 1)
        return
    print(_printable(name))
    for line in filter(None, (answer.warning, answer.guess())):
        print(f"  {line}")
    for rank, place in enumerate(_places(answer), start=1):
        share = "     ?" if answer.familiar is False else f"{place['probability']:6.1%}"
        print(f"  {rank:2}  {place['lat']:7.2f} {place['lon']:8.2f}  {share}  {place['country']}")
    if whose := credit(Path(name)):
        print(_printable(f"  photo: {whose}"))


def _places(answer: Prediction) -> list[dict[str, Any]]:
    from geolib.countries import country_name

    top = answer.top[["lat", "lon", "probability"]].assign(
        country=[country_name(code) or "open sea" for code in answer.top["country"]]
    )
    return [{str(key): value for key, value in row.items()} for row in top.to_dict("records")]


def _as_json(name: str, answer: Prediction | Failure) -> dict[str, Any]:
    if isinstance(answer, geolib.Failure):
        return {"photo": name, "refused": answer.reason}
    known = {
        "familiar": answer.familiar,
        "distance": answer.distance,
        "familiar_below": answer.familiar_below,
        "warning": answer.warning,
    }
    from geolib.datasets.commons import credit

    found = {"lat": answer.lat, "lon": answer.lon, "radius_km": answer.radius_km, "entropy_bits": answer.entropy}
    said = {"sentence": answer.sentence(), "top": _places(answer), "credit": credit(Path(name))}
    return {"photo": name, **known, **found, **said}


def _embed(options: argparse.Namespace) -> int:
    from geolib.datasets.folder import pictures

    if Path(options.photos).is_dir():
        paths: Any = pictures(options.photos)
        ids = [path.relative_to(options.photos).as_posix() for path in paths]
    else:
        dataset = geolib.open_dataset(options.photos)
        paths, ids = dataset.paths, list(dataset.photos.index)
    store = geolib.embed_photos(_encoder(options.encoder), paths, ids, options.out, progress=True)
    for photo, reason in store.failures:
        _complain(f"left out {photo}: {reason}", 1)
    print(f"{len(store.ids):,} vectors of {store.vectors.shape[1]} numbers in {_printable(str(options.out))}")
    return int(bool(store.failures))


def _fit(options: argparse.Namespace) -> int:
    more: dict[str, Any] = {} if options.epochs is None else {"epochs": options.epochs}
    if options.cells:
        if not all(number.strip().isdecimal() for number in options.cells.split(",")):
            raise ValueError(f"--cells {options.cells}: expected whole numbers such as 100,1000")
        more["cells_per_level"] = tuple(int(number) for number in options.cells.split(","))
    from geolib.cells.kinds import KINDS
    from geolib.sharing.model_folder import check_target

    check_target(options.out)  # now, not after hours of embedding
    _check_rules(options, KINDS)
    settings = Settings.from_env()
    dataset, encoder = geolib.open_dataset(options.dataset), _encoder(options.encoder)
    more |= {
        name: getattr(options, name) for name in ("split", "partition", "hidden", "leaf_sums", "fusion", "decoding")
    }
    model = geolib.Geolocator.fit_dataset(
        dataset, encoder, seed=settings.seed, device=settings.device, progress=_epoch, **more
    )
    model.save(options.out)
    _tell_unreadable(dataset, encoder)
    if model.tree.n_cells[-1] == 1:
        print("note: one cell holds the Earth, so every answer will be the same; use more photos", file=sys.stderr)
    print(f"{model.tree}\n{model.training['epochs']} epochs; saved in {_printable(str(options.out))}")
    return 0


def _tell_unreadable(dataset: geolib.Dataset, encoder: Encoder) -> None:
    """Say how many photos have no embedding, and why the first of them; the others' vectors are here by now."""
    failures = dataset.embeddings(encoder).failures
    if failures:
        photo, reason = failures[0]
        many = "1 photo" if len(failures) == 1 else f"{len(failures):,} photos"
        _complain(f"note: {many} of {dataset.name} left out, such as {photo}: {reason}", 0)


def _check_rules(options: argparse.Namespace, kinds: Sequence[str]) -> None:
    """Refuse a misspelt rule at once."""
    from geolib import decoding, fusion

    known = {"fusion": fusion.RULES, "decoding": decoding.RULES, "partition": kinds}
    for name, rules in known.items():
        if getattr(options, name) not in rules:
            raise ValueError(f"--{name} {getattr(options, name)}: expected one of {', '.join(rules)}")


def _ablate(options: argparse.Namespace) -> int:
    from geolib.judge.ablate import run

    if options.epochs < 1:
        raise ValueError(f"--epochs {options.epochs}: expected at least 1")
    settings = Settings.from_env()
    dataset, encoder = geolib.open_dataset(options.dataset), _encoder(options.encoder)
    run(
        dataset,
        encoder,
        options.out,
        seed=settings.seed,
        epochs=options.epochs,
        device=settings.device,
        n_boot=settings.pick(1000, 100),
        progress=partial(print, flush=True),
    )
    print((options.out / "ablation.md").read_text(encoding="utf-8"))
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    from geolib.evaluate import format_table
    from geolib.judge import published

    if options.card and not options.model:
        raise ValueError("--card writes on the card of a saved model: name it with --model")
    settings = Settings.from_env()
    asked = options.dataset or settings.dataset
    kind = asked.partition(":")[0]
    # A benchmark is there to test on: without --model it is the course's dataset that a model is fitted on.
    model = _model(options.model, settings if kind in published.BENCHMARKS else replace(settings, dataset=asked))
    fitted_on = str(model.training.get("dataset", kind))
    if options.dataset is None and fitted_on != kind:
        raise ValueError(f"the model was fitted on {fitted_on!r}: name what to evaluate on with --dataset")
    other = options.gallery is not None or fitted_on != kind
    gallery = _gallery(model, options.gallery, settings) if other else None
    dataset = geolib.open_dataset(asked)
    table = model.evaluate(dataset, gallery=gallery)
    _tell_unreadable(dataset, model.encoder)
    print(f"{'all' if other else 'test'} photos of {asked}; the model was fitted on {fitted_on}")
    both = table.attrs["overlap"]
    if both is None:
        print("whether a photographer of these photos also took training photos is not known")
    elif not both["photos"]:
        print(f"none is by a photographer of training photos; {both['known']:,} have a known photographer")
    else:
        print(
            f"{both['photos']:,} of them ({both['share']:.1%}) are by {both['photographers']:,} photographers of "
            f"training photos; {both['known']:,} have a known photographer"
        )
    print(published.beside(table) if options.reference or kind == "im2gps3k" else format_table(table).T.to_string())
    if options.card and options.model:
        model.save(options.model)
        print(f"the figures are on the card: {_printable(str(options.model / 'README.md'))}")
    return 0


def _gallery(model: Geolocator, name: str | None, settings: Settings) -> geolib.Dataset | None:
    """The dataset that a model was fitted on, if it is named or can be found by its name and is still the same."""
    if name:
        return geolib.open_dataset(name)
    fitted_on = str(model.training.get("dataset"))
    try:
        own = settings.dataset if settings.dataset.partition(":")[0] == fitted_on else fitted_on
        found = geolib.open_dataset(own)
        if found.labels_key(model.encoder) == model.training.get("dataset_key"):
            return found
        why = "its photos are not those that the model was fitted on"
    except (GeolibError, ValueError) as error:
        why = str(error)
    _complain(f"note: no rows beside the model's, for they need {fitted_on} (--gallery): {why}", 0)
    return None


def _push(options: argparse.Namespace) -> int:
    from geolib.sharing.hub import push

    read = options.i_have_read_responsible_use
    print(push(options.folder, options.repository, public=options.public, i_have_read_responsible_use=read))
    return 0


def _pull(options: argparse.Namespace) -> int:
    from geolib.sharing.hub import pull

    commit = pull(options.repository, options.out, revision=options.revision)
    print(_printable(f"{options.repository} at {commit} is in {options.out}"))
    return 0


def _info(options: argparse.Namespace) -> int:
    from geolib.sharing.model_folder import versions

    try:
        device = _encoder(None).reason
    except (GeolibError, ValueError) as error:
        device = f"no encoder: {error}"
    rows = {**versions(), **asdict(Settings.from_env()), "runs on": device, "cache": str(cache_path())}
    for name, value in rows.items():
        print(f"{name:>16}  {_printable(str(value))}")
    return 0


def _model(folder: Path | None, settings: Settings) -> Geolocator:
    return geolib.Geolocator.load(folder, device=settings.device) if folder else geolib.default_model(settings, _epoch)


def _encoder(name: str | None) -> Encoder:
    settings = Settings.from_env()
    settings = replace(settings, encoder=name or settings.encoder)
    return geolib.Encoder.load(*settings.encoder_name, device=settings.device)
