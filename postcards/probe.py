"""What an encoder reads: for every visible fact, a linear probe on its frozen vectors.

A probe is a multinomial logistic regression from vectors to the values of one fact, such as the colour of the centre
line. It is trained on training postcards that show the fact and asked about test postcards that show it. Beside its
accuracy stand chance (always the value that training showed most often), the same probe on thumbnails, and the ceiling:
1, because a fact counts as visible only where it can be made out in the picture. Of several houses, cars or trees the
nearest is asked for, so there a probe has to know which one that is, too.

Where one value is far more frequent than the others, accuracy says little. `balanced` is the share that is read
right of each value, averaged over the values; for it the probe's scores are freed of how frequent each value is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from sklearn.feature_extraction import DictVectorizer

from geolib import evaluate
from geolib.cells import GeocellTree
from geolib.common.files import write_bytes
from postcards.ceiling import numbers
from postcards.visible import Facts

Vectors = npt.NDArray[np.floating[Any]]
Mask = npt.NDArray[np.bool_]

# What is asked for, in the order of the table; `extra` facts of `visible` can be asked for by name.
ASKED = (
    "driving side", "centre line", "edge line", "rear plate", "front plate", "plate shape", "warning sign",
    "guide sign", "shield form", "shield ground", "shield ink", "language", "script", "flag", "landmark",
    "landmark colour", "architecture", "roof", "walls", "wall colour", "fence", "fence colour", "pole", "bollard",
    "vehicle", "wayside", "plant", "field", "belt", "leaf", "relief", "coast", "weather", "sun height", "kind",
)  # fmt: skip
# The facts that help most to say where a postcard is: at least these should be read halfway.
HELP_MOST = ("driving side", "centre line", "edge line", "rear plate", "language", "shield ground", "architecture")
THINGS: dict[str, tuple[str, ...]] = {  # whose facts are weighed together in `worth`
    "route shield": ("shield form", "shield ground", "shield ink"),
    "fence": ("fence", "fence colour"),
    "landmark": ("landmark", "landmark colour"),
    "plates": ("rear plate", "front plate", "plate shape"),
    "road lines": ("centre line", "edge line"),
    "words on signs": ("language", "script"),
    "houses": ("architecture", "roof", "roof colour", "walls", "wall colour"),
    "vegetation": ("belt", "leaf", "plant", "field"),
    "relief": ("relief", "height of relief"),
}
DECAYS = (1e-2, 1e-3, 1e-4)
CEILING = 1.0


@dataclass(frozen=True)
class Readout:
    """A linear readout of vectors: `classes` (k,), weights (d, k) and bias (k,) on standardised vectors, log prior."""

    classes: npt.NDArray[Any]
    mean: torch.Tensor
    scale: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor
    prior: torch.Tensor

    def read(self, vectors: Vectors, balanced: bool = False) -> npt.NDArray[Any]:
        """The likeliest value for each of the vectors (n, d); `balanced`: as if all values were equally frequent."""
        x = (torch.from_numpy(np.asarray(vectors, np.float32)) - self.mean) * self.scale
        scores = x @ self.weight + self.bias - (self.prior if balanced else 0)
        best: npt.NDArray[Any] = self.classes[scores.argmax(dim=1).numpy()]
        return best


def fit(vectors: Vectors, values: npt.ArrayLike, groups: npt.ArrayLike, seed: int = 0, iterations: int = 40) -> Readout:
    """Fit a readout of `values` (n,) from vectors (n, d).

    How strongly weights decay is chosen on a fifth of the `groups` (n,), such as photographers, that is held out.
    """
    x = torch.from_numpy(np.array(vectors, dtype=np.float32))
    classes, target = np.unique(np.asarray(values, dtype=str), return_inverse=True)
    y, (names, owner) = torch.from_numpy(target), np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    held = torch.from_numpy((np.random.default_rng(seed).random(len(names)) < 0.2)[owner])
    if not held.any() or held.all():
        held = torch.arange(len(x)) % 5 == 0
    mean, spread = x.mean(dim=0), x.std(dim=0, correction=0)
    scale = 1 / spread.clamp_min(0.1 * spread.square().mean().sqrt().clamp_min(1e-6))
    x = (x - mean) * scale
    prior = ((torch.bincount(y[~held], minlength=len(classes)) + 0.5) / len(y)).log()
    weight = torch.zeros(x.shape[1], len(classes), requires_grad=True)
    bias = prior.clone().requires_grad_()
    best, found = float("inf"), None
    for decay in DECAYS:
        _minimise(weight, bias, x[~held], y[~held], decay, iterations)
        with torch.no_grad():
            loss = float(torch.nn.functional.cross_entropy(x[held] @ weight + bias, y[held]))
        if loss < best:
            best, found = loss, Readout(classes, mean, scale, weight.detach().clone(), bias.detach().clone(), prior)
    assert found is not None
    return found


def _minimise(
    weight: torch.Tensor, bias: torch.Tensor, x: torch.Tensor, y: torch.Tensor, decay: float, iterations: int
) -> None:
    """Cross-entropy and decay / 2 times the squared weights, by L-BFGS on all rows at once."""
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=iterations, line_search_fn="strong_wolfe")

    def closure() -> float:
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(x @ weight + bias, y) + decay / 2 * weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    optimiser.step(closure)  # type: ignore[no-untyped-call]


def probe(
    vectors: Mapping[str, Vectors],
    facts: Sequence[Facts],
    photos: pd.DataFrame,
    train: Mask,
    tests: Mapping[str, Mask],
    *,
    asked: Sequence[str] = ASKED,
    most: int = 8_000,
    fewest: int = 10,
    n_boot: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Probe the vectors for every fact that is asked for: one row per fact and test side.

    Parameters
    ----------
    vectors : name to (n, d)
        One vector per postcard by each encoder; intervals and `halfway` are the first one's.
    facts : n visible facts
        As `ceiling.facts_of(photos)` gives them.
    photos : photo table with n rows
        Its columns photographer, lat and lon say what the intervals resample.
    train, tests
        Which postcards train (n,), and which are asked about, by the name of the side.
    most, fewest
        At most so many training postcards per fact, drawn by `seed`. A value that fewer of them show is not asked for.

    Returns
    -------
    DataFrame
        fact, side, n, classes, chance, each name of `vectors`, `low` and `high` (95 %, over photographers and places),
        ceiling, way (of the first: 0 at chance, 1 at the ceiling), halfway (is that at least a half?), and the same
        for the mean over classes: balanced chance (1 / classes), `balanced NAME`, balanced low, high, way and halfway.
        A side with fewer than 20 postcards of a fact has no row.
    """
    rows: list[dict[str, Any]] = []
    small = {name: _narrow(np.asarray(x, np.float32), train, seed) for name, x in vectors.items()}
    place = evaluate.places(photos["lat"], photos["lon"])
    owner = photos["photographer"].to_numpy(dtype=str)
    for fact in asked:
        value = np.array([str(shown.get(fact, "")) for shown in facts], dtype=object).astype(str)
        learns = np.flatnonzero(train & (value != ""))
        if len(learns) > most:
            learns = np.sort(np.random.default_rng(seed).choice(learns, most, replace=False))
        kinds, counts = np.unique(value[learns], return_counts=True)
        kinds = kinds[counts >= fewest]
        learns = learns[np.isin(value[learns], kinds)]
        sides = {side: np.flatnonzero(mask & np.isin(value, kinds)) for side, mask in tests.items()}
        if len(kinds) < 2 or all(len(index) < 20 for index in sides.values()):
            continue
        made = {name: fit(x[learns], value[learns], owner[learns], seed) for name, x in small.items()}
        usual = max(kinds, key=lambda kind: (value[learns] == kind).sum())
        for side, index in sides.items():
            if len(index) >= 20:
                about = {"fact": fact, "side": side, "trained on": len(learns)}
                clusters = pd.DataFrame({"photographer": owner[index], "place": place[index]})
                read = {
                    name: (one.read(small[name][index]), one.read(small[name][index], True))
                    for name, one in made.items()
                }
                rows.append(about | _row(value[index], read, str(usual), clusters, n_boot, seed))
    return pd.DataFrame(rows)


def _narrow(x: Vectors, train: Mask, seed: int, wide: int = 128) -> Vectors:
    """Vectors wider than `wide`, such as pixels, on the axes on which training postcards differ most."""
    if x.shape[1] <= wide:
        return x
    index = np.flatnonzero(train)
    some = np.random.default_rng(seed).choice(index, min(len(index), 5_000), replace=False)
    mean = x[some].mean(axis=0)
    _, _, axes = np.linalg.svd(x[some] - mean, full_matrices=False)
    return np.asarray((x - mean) @ axes[:wide].T, dtype=np.float32)


def _row(
    value: npt.NDArray[Any],
    read: Mapping[str, tuple[npt.NDArray[Any], npt.NDArray[Any]]],
    usual: str,
    clusters: pd.DataFrame,
    n_boot: int,
    seed: int,
) -> dict[str, Any]:
    """How much of one fact is read, on one side: plain and balanced."""
    kinds, codes = np.unique(value, return_inverse=True)
    main = next(iter(read))
    right = {name: float((plain == value).mean()) for name, (plain, _) in read.items()}
    once = np.ones(len(value))
    even = {f"balanced {name}": _balanced(free == value, codes, once) for name, (_, free) in read.items()}
    plain, free = (said == value for said in read[main])
    draws = list(evaluate.bootstrap_weights(clusters, len(value), n_boot, seed))[1:]
    drawn = np.array([[np.average(plain, weights=draw), _balanced(free, codes, draw)] for draw in draws])
    if evaluate.one_alone(clusters, np.ones(len(value), dtype=bool)):
        drawn[:] = np.nan
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0).tolist()
    chance, balanced = float((value == usual).mean()), 1 / len(kinds)
    return {
        "n": len(value),
        "classes": len(kinds),
        "chance": chance,
        **right,
        "low": low[0],
        "high": high[0],
        "ceiling": CEILING,
        "way": (right[main] - chance) / max(CEILING - chance, 1e-9),
        "halfway": right[main] >= (chance + CEILING) / 2,
        "balanced chance": balanced,
        **even,
        "balanced low": low[1],
        "balanced high": high[1],
        "balanced way": (even[f"balanced {main}"] - balanced) / (CEILING - balanced) if balanced < CEILING else 0.0,
        "balanced halfway": even[f"balanced {main}"] >= (balanced + CEILING) / 2,
    }


def _balanced(right: Mask, codes: npt.NDArray[np.int64], weight: npt.NDArray[Any]) -> float:
    """The weighted share that is right of each class of `codes` (n,), averaged over classes that have any weight."""
    counts = np.bincount(codes, weights=weight)
    hits = np.bincount(codes, weights=weight * right)
    return float((hits[counts > 0] / counts[counts > 0]).mean())


def worth(
    facts: Sequence[Facts],
    photos: pd.DataFrame,
    train: Mask,
    tests: Mapping[str, Mask],
    *,
    cells: int = 300,
    decay: float = 10.0,
    km: float = 750,
) -> pd.DataFrame:
    """How much visible facts help to say where a postcard is: one row per thing, the most helpful first.

    Cells are told from the lists of facts by least squares, which takes a second for all rows, and is a little weaker
    than the heads. For each side of `tests` there are two columns, shares of its postcards within `km`: `SIDE alone`,
    by this thing alone, and `SIDE lost`, how much less it is without it. The row "all" is by all facts. Facts of one
    thing, such as the form and the colours of a route shield, share a row (`THINGS`).
    """
    made = [dict(numbers(shown)) for shown in facts]
    vectorizer = DictVectorizer(dtype=np.float32, sparse=True)
    learns = np.flatnonzero(train)
    own = vectorizer.fit_transform([made[number] for number in learns])
    often = np.asarray((own != 0).sum(axis=0)).ravel() >= 3
    of = [
        {part.partition(": ")[0].removesuffix(" shown") for part in name.split(", ")}
        for name in vectorizer.get_feature_names_out()[often]
    ]
    x = np.asarray(vectorizer.transform(made)[:, often].toarray(), dtype=np.float32)
    x = np.concatenate([x, np.ones((len(x), 1), np.float32)], axis=1)
    lat, lon = photos["lat"].to_numpy(), photos["lon"].to_numpy()
    tree = GeocellTree.fit(lat[learns], lon[learns], (cells,), min_photos=5)
    target = tree.assign(lat[learns], lon[learns])[:, -1]
    middle_lat, middle_lon = tree.centers(0)
    inner = x[learns].T @ x[learns]
    outer = x[learns].T @ np.eye(len(middle_lat), dtype=np.float32)[target]

    def within(used: Mask) -> dict[str, float]:
        use = np.flatnonzero(np.append(used, True))
        weight = np.linalg.solve(inner[np.ix_(use, use)] + decay * np.eye(len(use)), outer[use])
        best = {side: (x[mask][:, use] @ weight).argmax(axis=1) for side, mask in tests.items()}
        return {
            side: float(
                (evaluate.errors_km(middle_lat[one], middle_lon[one], lat[tests[side]], lon[tests[side]]) <= km).mean()
            )
            for side, one in best.items()
        }

    everything = within(np.ones(len(of), dtype=bool))
    rows = {"all": {f"{side} alone": share for side, share in everything.items()}}
    single = set().union(*of) - {fact for own_facts in THINGS.values() for fact in own_facts}
    for thing, own_facts in sorted((THINGS | {fact: (fact,) for fact in single}).items()):
        alone = within(np.array([names <= set(own_facts) for names in of]))
        without = within(np.array([not names & set(own_facts) for names in of]))
        rows[thing] = {f"{side} alone": share for side, share in alone.items()}
        rows[thing] |= {f"{side} lost": everything[side] - share for side, share in without.items()}
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("thing")
    return table.sort_values(f"{next(iter(tests))} alone", ascending=False)


def finding(table: pd.DataFrame, name: str, balanced: bool = False) -> str:
    """What a table of one side says, in a sentence: the title of its figure."""
    rows = table[table["balanced halfway" if balanced else "halfway"]]
    return f"{name[:1].upper()}{name[1:]} reads {len(rows)} of {len(table)} visible facts at least halfway"


def figure(
    table: pd.DataFrame, path: Any = None, *, main: str, others: Sequence[str] = (), balanced: bool = False
) -> Any:
    """Draw dots per fact: chance, the `others` such as thumbnails, and `main` with its interval; the best read on top.

    Best is what is nearest to the ceiling on its way there from chance.

    table: `probe`'s rows of one side. `path`: where to write a PNG file. Returns the figure; `fig.get_label()` says in
    words what it shows.
    """
    from geolib.plots import ground
    from geolib.plots.charts import axes
    from geolib.plots.ground import COAST, COLORS, INK, QUIET

    lead = "balanced " if balanced else ""
    table = table.sort_values(f"{lead}way", ascending=False)
    y = np.arange(len(table))
    fig, ax = axes(9, 1.7 + 0.3 * len(table))
    chance, value = 100 * table[f"{lead}chance"], 100 * table[f"{lead}{main}"]
    ax.hlines(y, chance, 100, color=COAST, linewidth=1, alpha=0.5)
    ax.plot((chance + 100) / 2, y, "|", color=QUIET, ms=11, label="halfway")
    ax.plot(chance, y, "o", mfc="white", mec=QUIET, ms=6, label="chance")
    for number, other in enumerate(others):
        ax.plot(100 * table[f"{lead}{other}"], y, "sD^"[number % 3], color=COLORS[number + 1], ms=6, label=other)
    ax.hlines(y, 100 * table[f"{lead}low"], 100 * table[f"{lead}high"], color=COLORS[0], linewidth=3, alpha=0.5)
    ax.plot(value, y, "o", color=COLORS[0], mec="white", ms=9, label=main)
    ax.plot(np.full(len(y), 100.0), y, "|", color=INK, ms=11, mew=2, label="ceiling")
    names = [f"{fact} ({n:,})" for fact, n in zip(table["fact"], table["n"], strict=True)]
    ax.set_yticks(y, names, color=INK)
    ax.set_ylim(len(table) - 0.4, -0.6)
    ax.set_xlim(-1, 102)
    ax.set_xlabel("read right, %, mean over the fact's values" if balanced else "read right, %", color=QUIET)
    ax.grid(axis="y", visible=False)
    fig.suptitle(finding(table, f"the {main}" if main == "encoder" else main, balanced), fontsize=15, x=0.01, ha="left")
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower left", ncols=6, frameon=False, fontsize=11)
    said = "; ".join(
        f"{row['fact']}: {100 * row[f'{lead}{main}']:.0f} % (chance {100 * row[f'{lead}chance']:.0f} %)"
        for _, row in table.iterrows()
    )
    fig.set_label(f"Dots, one row per visible fact, with chance and ceiling. {said}.")
    if path is not None:
        write_bytes(path, ground.png(fig, dpi=100))
    return fig
