"""Split photos into training, calibration, development and test sides without data leakage."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.spatial import cKDTree

from geolib.common.errors import MismatchError
from geolib.sphere import FloatArray, chord, chord_km, unit_vectors

if TYPE_CHECKING:
    from geolib.datasets.dataset import Dataset
    from geolib.encoder import Encoder

Ints = npt.NDArray[np.int64]
SHARES = {"test": 0.1, "calibration": 0.1, "development": 0.1}  # the rest trains
KINDS = ("auto", "photographers", "places")
BUFFER_KM = 50.0
NEAR_KM = 25.0  # a test photo with a training photo this near shows a place that training has seen
_REGION_KM = 300.0  # least distance between the centres of two regions
_ENOUGH, _TOO_FEW = 0.5, 0.1  # of the photos that a side was to have
_SHARED = (
    "photographers are on several sides, as too few have enough photos. Results do not hold for new photographers, and "
    "intervals are too narrow"
)


class Photos(NamedTuple):
    """Embeddings (n, dim) of photos with their places, degrees (n,), and ids (n,)."""

    vectors: npt.NDArray[np.float32]
    lat: npt.ArrayLike
    lon: npt.ArrayLike
    ids: list[str]


def split_photos(
    dataset: Dataset, encoder: Encoder, kind: str = "auto", seed: int = 0, *, buffer_km: float = BUFFER_KM
) -> dict[str, Photos]:
    """Embed a dataset and split it: {"train": Photos, "calibration": ..., "development": ..., "test": ...}.

    `kind` and `buffer_km` are explained in `Dataset.split`. A side without photos is missing. Photos without an
    embedding (unreadable files) are on no side.

    Examples
    --------
    >>> from geolib import Encoder, open_dataset
    >>> sides = split_photos(open_dataset("postcards"), Encoder.load("postcards"))
    >>> len(sides["calibration"].ids), len(sides["test"].ids)
    (3000, 3000)
    """
    store = dataset.embeddings(encoder)
    photos = dataset.photos.loc[store.ids]
    side_of = dataset.split(kind, seed, buffer_km=buffer_km).loc[store.ids].to_numpy()
    lat, lon = photos["lat"].to_numpy(), photos["lon"].to_numpy()
    rows = {str(side): np.flatnonzero(side_of == side) for side in np.unique(side_of)}
    return {side: Photos(store.vectors[at], lat[at], lon[at], photos.index[at].to_list()) for side, at in rows.items()}


def fitted_split(dataset: Dataset, training: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `Dataset.split` that repeat the split of a fitted model; `training` is the model's record.

    Raises `MismatchError` if an older version drew that split. It cannot be repeated, and another split would put
    training photos among the test photos. A published split stays what it was.
    """
    kind = training.get("split", "auto")
    if "buffer_km" not in training and not ("split" in dataset.photos and kind in ("auto", "safe")):
        raise MismatchError(
            f"this model does not record how {dataset.name} was split, or an older version split it in another way, so "
            "its training photos could be among the test photos: fit it again with `Geolocator.fit_dataset`"
        )
    asked = kind, training.get("seed", 0), training.get("buffer_km", BUFFER_KM)
    return dict(zip(("kind", "seed", "buffer_km"), asked, strict=True))


def safe_split(
    photos: pd.DataFrame,
    kind: str = "auto",
    *,
    buffer_km: float = BUFFER_KM,
    seed: int = 0,
    shares: Mapping[str, float] | None = None,
) -> pd.Series[str]:
    """Split photos so that test photos are new in the sense that `kind` names.

    - "photographers": no photographer is on two sides; places may be. This is what a user of a geolocator asks: photos
      by other people, at places like those of training.
    - "places": whole regions are held out. No photographer is on two sides, and no two photos on different sides are
      within `buffer_km` of each other. This is what generalises.
    - "auto": "photographers" where at least half of the photos have a photographer and there are enough of them, else
      "places". One person's photos cannot be split by photographers, so they are split by places only.

    Regions are the photos nearest to centres that lie at least 300 km (or 6 buffers) apart. They are dealt to the sides
    at random, and so are photographers. What cannot be on any side is "left_out": photos by a photographer of another
    side, and photos within the buffer. Small sets cannot have everything. What a split gave up is said in a warning,
    and in `attrs["gave_up"]` of the result: a buffer that was halved until regions fitted in, and sides that are
    missing or have less than half of their share.

    Parameters
    ----------
    photos : columns `lat`, `lon` (degrees) and `photographer`, indexed by id, in any order. A photo without a
        photographer ("") counts as one by the photographer of its region.
    buffer_km : least distance between photos on different sides, for "places".
    shares : of the sides besides "train", default 10 % each for "test", "calibration" and "development".

    Returns
    -------
    The side of each photo, in the order of `photos`; `attrs` has `kind`, `buffer_km` (as kept) and `gave_up`.

    Raises `ValueError` for an unknown kind and a buffer that is negative or longer than 5,000 km.

    Examples
    --------
    >>> who = [f"photographer {n % 20}" for n in range(400)]
    >>> photos = pd.DataFrame({"lat": np.arange(400) % 60, "lon": np.arange(400) % 170, "photographer": who})
    >>> safe_split(photos).value_counts().sort_index().to_dict()
    {'calibration': 40, 'development': 40, 'test': 40, 'train': 280}
    """
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r}: expected one of {', '.join(map(repr, KINDS))}")
    if not 0 <= buffer_km <= 5000:
        raise ValueError(f"buffer_km={buffer_km}: expected km from 0 to 5,000")
    held_out = SHARES if shares is None else shares
    parts = {**held_out, "train": 1 - sum(held_out.values())}  # the order says who gives up photos within the buffer
    if not all(0 < share < 1 for share in parts.values()):
        raise ValueError(f"shares={shares}: expected shares above 0 that leave something for training")
    ordered = photos.sort_index()
    sides, attrs = _split(ordered, kind, buffer_km, seed, parts)
    if gave_up := attrs["gave_up"]:
        warnings.warn(f"the split by {attrs['kind']} gave up: {'; '.join(gave_up)}", stacklevel=2)
    texts = np.array([*parts, "left_out"], dtype=object)[sides]  # -1 is the last
    result: pd.Series[str] = pd.Series(texts, index=ordered.index, name="split").reindex(photos.index)
    result.attrs.update(attrs)
    return result


def random_split(photos: pd.DataFrame, seed: int = 0) -> pd.Series[str]:
    """Split photo by photo, which leaks: with the same photographers and places on all sides, results look better."""
    order = np.random.default_rng(seed).permutation(len(photos))
    drawn = np.searchsorted(np.cumsum(list(SHARES.values())), (order + 0.5) / max(len(order), 1))
    sides = pd.Series(np.array([*SHARES, "train"], dtype=object)[drawn], photos.index.sort_values(), name="split")
    sides = sides.reindex(photos.index)
    sides.attrs = {"kind": "random", "gave_up": []}
    return sides


def nearest_training_km(photos: pd.DataFrame, sides: pd.Series[str], side: str = "test") -> pd.Series[float]:
    """Distance of each photo of a side to the nearest training photo, in km, by id; inf if there is none.

    `photos` has `lat` and `lon` in degrees, `sides` is what `Dataset.split` returns.

    Examples
    --------
    >>> photos = pd.DataFrame({"lat": [48.2, 49.2, 0.0], "lon": [16.4, 16.6, 180.0]}, index=["Wien", "Brno", "sea"])
    >>> sides = pd.Series(["train", "test", "test"], index=photos.index)
    >>> nearest_training_km(photos, sides).round().to_dict()
    {'Brno': 112.0, 'sea': 14427.0}
    """
    rows = [photos.loc[sides.index[sides == name], ["lat", "lon"]] for name in (side, "train")]
    here, train = (unit_vectors(part["lat"], part["lon"]) for part in rows)
    km = chord_km(cKDTree(_unique(train)[0]).query(here)[0]) if len(train) else np.full(len(here), np.inf)
    return pd.Series(km, index=rows[0].index, name="nearest_training_km")


def describe_split(photos: pd.DataFrame, sides: pd.Series[str]) -> pd.DataFrame:
    """What a split holds, one row per side: how many photos, by whom, and how far from the training photos.

    Returns
    -------
    Columns `photos`, `share`, `photographers` (known ones), `by_training_photographers` (photos), and of the distances
    to the nearest training photo the quantiles `nearest_km_10`, `nearest_km_50`, `nearest_km_90` and the share
    `within_25_km`. `attrs` are those of `sides`, with `gave_up`.

    Examples
    --------
    >>> from geolib import open_dataset
    >>> postcards = open_dataset("postcards")
    >>> table = describe_split(postcards.photos, postcards.split())
    >>> table.loc["test", ["photos", "by_training_photographers"]].astype(int).tolist()
    [3000, 0]
    """
    names = photos["photographer"].loc[sides.index]
    trained = set(names[sides == "train"]) - {""}
    rows = {}
    for side in dict.fromkeys(["train", *sorted(set(sides) - {"left_out"}), "left_out"]):
        who = names[sides == side]
        rows[side] = {"photos": len(who), "share": len(who) / len(sides), "photographers": len(set(who) - {""})}
        if side not in ("train", "left_out"):
            km = nearest_training_km(photos, sides, side)
            rows[side]["by_training_photographers"] = int(who.isin(trained).sum())
            rows[side] |= {f"nearest_km_{at}": float(np.quantile(km, at / 100)) for at in (10, 50, 90)}
            rows[side]["within_25_km"] = float((km <= NEAR_KM).mean())
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.attrs = dict(sides.attrs)
    return table


def photographer_overlap(
    dataset: Dataset, photos: Sequence[str], gallery: Dataset, seen: Sequence[str]
) -> dict[str, Any] | None:
    """Count the test `photos` whose photographer (or, where unknown, author) also took photos `seen` in training.

    Returns the number of `photographers` on both sides, number, `share` and `ids` of their test `photos`, and how many
    test photos have a `known` one; None if a side has none. Names are compared as written.
    """
    test, train = (
        rows["photographer"].where(rows["photographer"] != "", rows["author"])
        for rows in (dataset.photos.loc[list(photos)], gallery.photos.loc[list(seen)])
    )
    known, train_names = test[test != ""], set(train) - {""}
    if known.empty or not train_names:
        return None
    both = known[known.isin(train_names)]
    counts = {"photographers": int(both.nunique()), "photos": len(both), "share": len(both) / len(test)}
    return counts | {"known": len(known), "ids": list(both.index)}


def training_overlap(dataset: Dataset, parts: Mapping[str, Photos]) -> dict[str, int | None]:
    """Count test photos by photographers of training photos (None: unknown), and within 25 km of training photos."""
    train = parts["train"].ids
    test = [photo for side, part in parts.items() if side.startswith("test") for photo in part.ids]
    overlap = photographer_overlap(dataset, test, dataset, train)
    sides = pd.Series("test", index=test).reindex([*test, *train]).fillna("train")
    near = int((nearest_training_km(dataset.photos, sides) <= NEAR_KM).sum())
    return {"by_training_photographers": overlap["photos"] if overlap else None, "within_25_km": near}


def _split(
    photos: pd.DataFrame, kind: str, buffer_km: float, seed: int, parts: Mapping[str, float]
) -> tuple[Ints, dict[str, Any]]:
    """Number of the side in `parts` of each photo, -1 if left out, and the `attrs` of the split."""
    who, names = pd.factorize(photos["photographer"].where(photos["photographer"] != ""), sort=True)
    points = unit_vectors(photos["lat"], photos["lon"])
    if kind == "photographers" or (kind == "auto" and 2 * (who >= 0).sum() >= len(who)):
        sides = _by_photographers(points, who, np.random.default_rng(seed), parts)
        if kind == "photographers" or _kept(sides, parts) >= _TOO_FEW:
            return sides, {"kind": "photographers", "buffer_km": 0.0, "gave_up": _losses(sides, parts)}
    gave_up: list[str] = []
    sides, kept_km = _by_places(points, who, np.random.default_rng(seed), parts, buffer_km)
    if len(names) == 1 or (kind == "auto" and len(names) > 1 and _kept(sides, parts) < _TOO_FEW):
        who, gave_up = np.full_like(who, -1), [_SHARED]
        sides, kept_km = _by_places(points, who, np.random.default_rng(seed), parts, buffer_km)
    if kept_km < buffer_km:
        gave_up += [f"the buffer is {kept_km:.2g} km instead of {buffer_km:g} km, as the photos lie close together"]
    return sides, {"kind": "places", "buffer_km": kept_km, "gave_up": gave_up + _losses(sides, parts)}


def _by_photographers(points: FloatArray, who: Ints, rng: np.random.Generator, parts: Mapping[str, float]) -> Ints:
    """Number of the side in `parts` of each photo; `who` is the number of its photographer, -1 where unknown."""
    group = who
    if (who < 0).any():
        group = np.where(who < 0, who.max() + 1 + _regions(points, _REGION_KM, rng), who)
    return _deal(np.bincount(group), rng, parts)[group]


def _by_places(
    points: FloatArray, who: Ints, rng: np.random.Generator, parts: Mapping[str, float], buffer_km: float
) -> tuple[Ints, float]:
    """The side of each photo, -1 if left out, and the buffer kept: halved until small regions can fill the sides."""
    best, region, by_region, buffer = -1.0, who, who, buffer_km
    for scale in 0.5 ** np.arange(7):
        smaller = _regions(points, max(_REGION_KM, 6 * buffer_km) * scale, rng)
        sides = _deal(np.bincount(smaller), rng, parts)[smaller]
        kept = _kept(_apart(points, sides, buffer_km * scale), parts)
        if best < 0 or kept > 1.5 * best:
            best, region, by_region, buffer = kept, smaller, sides, float(buffer_km * scale)
        if best >= _ENOUGH:
            break
    ways = _one_side_each(who, region, by_region, rng, parts) if (who >= 0).any() else [by_region]
    apart = [_apart(points, sides, buffer) for sides in ways]
    return max(apart, key=lambda sides: _kept(sides, parts)), buffer


def _one_side_each(
    who: Ints, region: Ints, by_region: Ints, rng: np.random.Generator, parts: Mapping[str, float]
) -> list[Ints]:
    """Ways to give each photographer one side; photos of theirs in regions of other sides are left out (-1)."""
    known, shares = who >= 0, np.array(list(parts.values()))
    sizes, powers = np.bincount(who[known]), (0.0, 0.5, 1.0)
    # Regions are dealt, and photographers follow their photos, or the other way round. Where everybody goes everywhere,
    # neither fills the small sides: then both are dealt, with shares that are nearer to each other.
    ways = [(by_region, _majority(who[known], by_region[known], shares**power)) for power in powers]
    own = _deal(sizes, rng, parts)
    ways += [(_majority(region, np.where(known, own[who], by_region), shares**p)[region], own) for p in powers]
    nearer = dict(zip(parts, np.sqrt(shares) / np.sqrt(shares).sum(), strict=True))
    ways += [(_deal(np.bincount(region), rng, nearer)[region], _deal(sizes, rng, nearer))]
    return [np.where(known & (own[who] != sides), -1, sides) for sides, own in ways]


def _majority(groups: Ints, sides: Ints, expected: FloatArray) -> Ints:
    """The side of each group (number) that has most of its photos, in proportion to what is `expected` of each side."""
    photos = np.bincount(groups * len(expected) + sides, minlength=(groups.max() + 1) * len(expected))
    most: Ints = (photos.reshape(-1, len(expected)) / expected).argmax(axis=1)
    return most


def _deal(sizes: Ints, rng: np.random.Generator, parts: Mapping[str, float]) -> Ints:
    """Deal groups of so many photos to the sides (numbers in `parts`) at random, so that the sides get their shares.

    A group larger than a side's share trains. A side that would be empty gets the training group that fits best.
    """
    sides, total = np.full(len(sizes), len(parts) - 1), sizes.sum()
    held_out = list(parts.values())[:-1]
    small = sizes[sizes <= 1.25 * max(held_out) * total].sum()  # at most three quarters of these do not train
    room = [share * min(total, 0.75 * small / sum(held_out)) for share in held_out]
    for group in rng.permutation(len(sizes)):
        for side, left in enumerate(room):
            if sizes[group] <= 1.25 * left:
                sides[group], room[side] = side, left - sizes[group]
                break
    for side, (name, share) in enumerate(list(parts.items())[:-1]):
        rest = np.flatnonzero(sides == len(parts) - 1)
        if not (sides == side).any() and len(rest) >= (3 if name == "development" else 2):
            others = np.delete(rest, sizes[rest].argmax())  # the largest trains
            sides[others[np.abs(sizes[others] - share * total).argmin()]] = side
    return sides


def _regions(points: FloatArray, km: float, rng: np.random.Generator) -> Ints:
    """Number of the region of each point (n, 3): the nearest centre, of photos in random order at least km apart."""
    places, at = _unique(points)
    tree, reach, free, centres = cKDTree(places), chord(km), np.ones(len(places), bool), []
    for place in at[rng.permutation(len(at))]:
        if free[place]:
            centres.append(place)
            free[tree.query_ball_point(places[place], reach)] = False
    nearest: Ints = cKDTree(places[centres]).query(places)[1][at]
    return nearest


def _apart(points: FloatArray, sides: Ints, km: float) -> Ints:
    """The sides, without (-1) the photos of later sides that are within km of photos of an earlier one."""
    kept = sides.copy()
    for side in range(sides.max()) if km > 0 else ():
        later = np.flatnonzero(kept > side)
        if (kept == side).any() and len(later):
            tree = cKDTree(_unique(points[kept == side])[0])
            near = np.isfinite(tree.query(points[later], distance_upper_bound=chord(km))[0])
            kept[later[near]] = -1
    return kept


def _unique(points: FloatArray) -> tuple[FloatArray, Ints]:
    """The different points, and the number of each point among them: many equal ones make a KD-tree slow."""
    places, at = np.unique(points, axis=0, return_inverse=True)
    return places, at.ravel()


def _kept(sides: Ints, parts: Mapping[str, float]) -> float:
    """The least share of its photos that a side has, the development side apart: small sets can do without."""
    counts = np.bincount(sides + 1, minlength=len(parts) + 1)[1:]
    wanted = [share * len(sides) for share in parts.values()]
    return float(min(n / w for n, w, name in zip(counts, wanted, parts, strict=True) if name != "development"))


def _losses(sides: Ints, parts: Mapping[str, float]) -> list[str]:
    """What a split gave up of the sizes of its sides, in words."""
    total, said = len(sides), []
    for side, (name, share) in enumerate(parts.items()):
        count = int((sides == side).sum())
        if not count:
            said.append(f"there is no {name} side")
        elif count < _ENOUGH * share * total:
            said.append(f"the {name} side has {count:,} photos, {count / total:.2g} of all instead of {share:.2g}")
    out = int((sides < 0).sum())
    if out > total / 4:
        said.append(f"{out:,} of {total:,} photos are left out, within the buffer or by photographers of another side")
    return said
