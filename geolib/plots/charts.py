"""Charts: values with their intervals, lines, reliability, points in a plane, and maps of importance over pictures.

Every function returns `(fig, axes)`. As on the maps, the figure carries a description in words, `plots.alt_text(fig)`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, NullLocator

from geolib.evaluate import THRESHOLDS_KM
from geolib.plots.ground import BORDER, COAST, COLORS, DASHES, INK, QUIET, RC

_UNITS = {  # factor, format on the axis, digits in the words
    "%": (100.0, "{:.4g} %", 1),
    "points": (100.0, "{:+.4g}", 1),
    "km": (1.0, "{:,.0f} km", 1),
    "bits": (1.0, "{:.4g}", 2),
    "": (1.0, "{:,.4g}", 1),
}
_POINTS: dict[str, Any] = {"s": 9, "linewidth": 0, "alpha": 0.8, "rasterized": True}
_MARKERS = ("o", "s", "^", "D", "v")  # series differ in more than colour
_ARGUES = LinearSegmentedColormap.from_list("argues", [COLORS[0], "#7db9dd", "white", "#f0a875", COLORS[1]])


@matplotlib.rc_context(RC)
def axes(width: float = 10, height: float = 5.6, columns: int = 1, **how: Any) -> tuple[Figure, Any]:
    """Make a figure in the style of the course, in inches, with axes side by side; `how` is for `Figure.subplots`."""
    fig = Figure(figsize=(width, height), layout="constrained")
    made = fig.subplots(1, columns, **how)
    for ax in np.ravel(made):
        ax.grid(color=BORDER, linewidth=0.8)
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
        ax.spines[:].set_color(COAST)
        ax.tick_params(color=COAST, labelcolor=QUIET)
    return fig, made


def _describe(fig: Figure, words: str, caption: str = "") -> None:
    """Set the alt text, and write the caption at the lower left."""
    fig.set_label(words)
    if caption:
        fig.supxlabel(caption, x=0.01, ha="left", fontsize=12, color=QUIET)


def _check_number(what: str, number: int) -> None:
    if not 1 <= number <= len(COLORS):
        raise ValueError(f"{number} {what}: expected 1 to {len(COLORS)}; more look alike in one figure")


def _legend_above(fig: Figure, ax: Any) -> None:
    """A legend for several axes, above them, if there are two series or more."""
    handles, labels = ax.get_legend_handles_labels()
    if len(handles) > 1:
        fig.legend(handles, labels, loc="outside upper right", ncols=len(handles), frameon=False)


@matplotlib.rc_context(RC)
def plot_intervals(
    tables: pd.DataFrame | Mapping[str, pd.DataFrame],
    metrics: Mapping[str, str],
    *,
    unit: str = "%",
    zero: bool = False,
    caption: str = "",
) -> tuple[Figure, Any]:
    """Draw dots with their 95 % intervals: one row per method or group, one column per metric.

    Parameters
    ----------
    tables : DataFrame, or series name to DataFrame
        One to five tables of `geolib.evaluate` with the same rows; else `ValueError`.
    metrics : column to title
        The columns of the same name with `_low` and `_high` bound the interval.
    unit
        "%" for shares, "points" for differences of shares, "km", "bits" or "".
    zero
        Draw a line at 0, for differences.

    Examples
    --------
    >>> table = pd.DataFrame({"hit": [0.4], "hit_low": [0.3], "hit_high": [0.5]}, index=["quadtree"])
    >>> plot_intervals(table, {"hit": "within 750 km"})[0].get_label()
    'Dots with 95 % intervals. quadtree, within 750 km: 40 % (30 % to 50 %).'
    """
    series = {"": tables} if isinstance(tables, pd.DataFrame) else tables
    _check_number("series", len(series))
    if not metrics or unit not in _UNITS:
        raise ValueError(f"{len(metrics)} metrics, {unit=}: expected at least one, and a unit of {list(_UNITS)}")
    names = list(next(iter(series.values())).index)
    if not names or any(list(table.index) != names for table in series.values()):
        raise ValueError("the tables have different rows or none: expected the same methods or groups in each")
    factor, style, digits = _UNITS[unit]
    fig, made = axes(10, 0.9 + len(names) * (0.34 + 0.16 * len(series)), len(metrics), sharey=True, squeeze=False)
    words = []
    for ax, (column, title) in zip(made[0], metrics.items(), strict=True):
        for number, (label, table) in enumerate(series.items()):
            y = np.arange(len(names)) + 0.22 * (number - (len(series) - 1) / 2)
            dots = factor * table[[column, f"{column}_low", f"{column}_high"]].to_numpy(dtype=float)
            look: dict[str, Any] = {"color": COLORS[number], "marker": _MARKERS[number], "ms": 8, "mec": "white"}
            ax.hlines(y, dots[:, 1], dots[:, 2], color=COLORS[number], linewidth=2.6, alpha=0.55)
            ax.plot(dots[:, 0], y, label=label, linestyle="", **look)
            for name, row in zip(names, dots, strict=True):
                value, low, high = (style.format(round(number, digits) + 0.0) for number in row)  # + 0.0: no "-0"
                words.append(f"{f'{label}, ' if label else ''}{name}, {title}: {value} ({low} to {high})")
        ax.set_title(title, fontsize=13, loc="left")
        ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: style.format(v)))
        ax.locator_params(axis="x", nbins=4)
        if zero:
            ax.axvline(0, color=INK, linewidth=1)
    made[0][0].set_yticks(range(len(names)), names, color=INK)
    made[0][0].set_ylim(len(names) - 0.5, -0.5)
    _legend_above(fig, made[0][0])
    _describe(fig, f"Dots with 95 % intervals. {'; '.join(words)}.", caption)
    return fig, made[0]


_VERDICTS = {"more": COLORS[0], "less": COLORS[1], "undecided": COAST, "same by construction": "white"}


@matplotlib.rc_context(RC)
def plot_verdicts(panels: Mapping[str, pd.DataFrame], *, caption: str = "") -> tuple[Figure, Any]:
    """Draw paired differences with their intervals, coloured by verdict, one panel per table.

    Each table has the same rows, and the columns `gain`, `low`, `high` and `verdict` (`geolib.evaluate.verdict`). A
    difference that would leave no room for the others becomes an arrow at the edge with its number.

    Examples
    --------
    >>> row = {"gain": [40.0], "low": [10.0], "high": [70.0], "verdict": ["more"]}
    >>> plot_verdicts({"test": pd.DataFrame(row, index=["+ filter"])})[0].get_label()
    'Paired differences with 95 % intervals. test: + filter more, +40 (+10 to +70).'
    """
    names = list(next(iter(panels.values()), pd.DataFrame()).index)
    if not names or any(list(table.index) != names for table in panels.values()):
        raise ValueError("the tables have different rows or none: expected the same rows in each")
    lines = caption.count("\n") + max(title.count("\n") for title in panels)
    fig, made = axes(10, 1.3 + 0.42 * len(names) + 0.3 * lines, len(panels), sharey=True, squeeze=False)
    words = []
    for ax, (title, table) in zip(made[0], panels.items(), strict=True):
        ends = table[["low", "high"]].abs().max(axis=1)
        near = ends[table["gain"].abs() <= 4 * ends.median()]  # their intervals are drawn whole
        limit = 1.15 * near.max() if near.notna().any() else 1.0
        said = []
        for y, (name, row) in enumerate(table.iterrows()):
            color, gain = _VERDICTS[row["verdict"]], row["gain"]
            look: dict[str, Any] = {"marker": "o", "ms": 8, "color": color, "mec": INK if color == "white" else "white"}
            number = "" if pd.isna(gain) else f", {gain:+z,.0f} ({row['low']:+z,.0f} to {row['high']:+z,.0f})"
            said.append(f"{' '.join(str(name).split())} {row['verdict']}{number}")
            if abs(gain) > limit:
                edge = np.copysign(limit, gain)
                ax.plot(edge, y, clip_on=False, **look | {"marker": ">" if gain > 0 else "<"})
                ax.text(0.9 * edge, y, f"{gain:+,.0f}", ha="right" if gain > 0 else "left", va="center", fontsize=10)
                continue
            if pd.notna(row["low"]):
                ax.hlines(y, row["low"], row["high"], color=color, linewidth=3, alpha=0.6)
            ax.plot(0 if pd.isna(gain) else gain, y, **look)
        ax.axvline(0, color=INK, linewidth=1, zorder=0.5)
        ax.set(xlim=(-limit, limit))
        ax.set_title(title, fontsize=13, loc="left")
        ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:+,.0f}" if v else "0"))
        ax.locator_params(axis="x", nbins=4)
        words.append(f"{' '.join(title.split())}: {'; '.join(said)}.")
    made[0][0].set_yticks(range(len(names)), names, color=INK, fontsize=10)
    made[0][0].set_ylim(len(names) - 0.5, -0.5)
    for word, color in _VERDICTS.items():
        made[0][0].plot([], [], "o", ms=8, color=color, mec=INK if color == "white" else "white", label=word)
    _legend_above(fig, made[0][0])
    _describe(fig, f"Paired differences with 95 % intervals. {' '.join(words)}", caption)
    return fig, made[0]


@matplotlib.rc_context(RC)
def plot_lines(
    x: npt.ArrayLike,
    lines: Mapping[str, npt.ArrayLike | tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike]],
    *,
    xlabel: str,
    ylabel: str,
    log_x: bool = False,
    mark: Mapping[str, float] | None = None,
    caption: str = "",
) -> tuple[Figure, Any]:
    """Draw one to five lines over x.

    Parameters
    ----------
    x : (n,)
    lines : name to (n,) values, or to three such arrays (value, low, high)
        Low and high bound a band. Other lengths raise `ValueError`.
    mark : name to x, optional
        Where to set a dot on a line, such as the fitted temperature.
    """
    at, mark = np.asarray(x, dtype=float), mark or {}
    _check_number("series", len(lines))
    fig, ax = axes()
    ax.set(xlabel=xlabel, ylabel=ylabel, xscale="log" if log_x else "linear")
    ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.6g}"))
    words = [f"{ylabel} over {xlabel}."]
    for (name, given), color, dash in zip(lines.items(), COLORS, DASHES, strict=False):
        value, *band = (np.asarray(part, dtype=float) for part in (given if isinstance(given, tuple) else (given,)))
        if any(part.shape != at.shape for part in (value, *band)):
            raise ValueError(f"series {name!r} has {value.size} values for {at.size} of x: expected as many")
        ax.plot(at, value, color=color, linestyle=dash, linewidth=2.6, label=name)
        if band:
            ax.fill_between(at, *band, color=color, alpha=0.16, linewidth=0)
        if name in mark:
            where = int(np.abs(at - mark[name]).argmin())
            ax.plot(at[where], value[where], "o", color=color, markersize=10, markeredgecolor="white")
        words.append(f"{name}: from {value[0]:.3g} to {value[-1]:.3g}.")
    if len(lines) > 1:
        ax.legend(frameon=False)
    _describe(fig, " ".join(words), caption)
    return fig, ax


@matplotlib.rc_context(RC)
def plot_history(history: pd.DataFrame, names: Sequence[str]) -> tuple[Figure, Any]:
    """Draw the learning curves of `geolib.heads.train_heads`, one panel per level; a dot marks the epoch that was kept.

    The names are those of the levels, coarse to fine. The training needs calibration photos.
    """
    fig, made = axes(10, 3.6, len(names), squeeze=False)
    kept = history.attrs["best_epoch"]
    for level, (ax, name) in enumerate(zip(made[0], names, strict=True)):
        for side, color, dash in zip(("train", "calibration"), COLORS, DASHES, strict=False):
            loss = history[f"{side}_loss_{level}"]
            ax.plot(history["epoch"], loss, color=color, linestyle=dash, linewidth=2.4, label=side)
        best = loss[history["epoch"] == kept[level]]
        ax.plot(kept[level], best, "o", color=color, markersize=9, markeredgecolor="white")
        ax.set_title(name, fontsize=13, loc="left")
        ax.set_xlabel("epoch")
        ax.locator_params(axis="x", nbins=4, integer=True)
    made[0][0].set_ylabel("loss (nats)")
    made[0][-1].legend(frameon=False, fontsize=11)
    words = ", ".join(f"{name} keeps epoch {epoch}" for name, epoch in zip(names, kept, strict=True))
    _describe(fig, f"Training and calibration loss of {len(names)} levels over {len(history)} epochs: {words}.")
    return fig, made[0]


@matplotlib.rc_context(RC)
def plot_error_distribution(
    errors: Mapping[str, npt.ArrayLike], *, floor: npt.ArrayLike, seed: int, noun: str = "photos"
) -> tuple[Figure, Any]:
    """Draw the share of photos within each distance, one line per system, with the five thresholds of the field.

    `errors` are (n,) km of one to five systems, `floor` those of a perfect classifier: each photo in its own cell,
    answered with the centre of the cell. `noun` says what is counted, as `Dataset.noun` does. Errors that are negative
    or not finite raise `ValueError`.
    """
    _check_number("systems", len(errors))
    fig, ax = axes(10, 6)
    ax.set(xscale="log", xlim=(0.5, 20_100), ylim=(0, 102))
    ax.set(xlabel="error (km)", ylabel=f"{noun} within this distance (%)")
    ax.set_xticks(THRESHOLDS_KM, [f"{km:,}" for km in THRESHOLDS_KM])
    ax.xaxis.set_minor_locator(NullLocator())
    for threshold, name in zip(THRESHOLDS_KM, ("street", "city", "region", "country", "continent"), strict=True):
        ax.text(threshold, 103.5, name, ha="center", va="bottom", fontsize=12, color=QUIET)
    series = [*zip(errors, errors.values(), COLORS, DASHES, strict=False), ("perfect cells", floor, QUIET, (0, (1, 2)))]
    words = [f"Share of {noun} within each distance."]
    for name, values, color, dash in series:
        km = np.asarray(values, dtype=float)
        if not km.size or not np.isfinite(km).all() or km.min() < 0:
            raise ValueError(f"errors of {name!r}: expected at least one distance in km, finite and not negative")
        label = f"{name}: median {np.median(km):,.0f} km"
        x, y = np.concatenate([[0.1], np.sort(np.maximum(km, 0.1)), [30_000]]), [*np.linspace(0, 100, km.size + 1), 100]
        ax.plot(x, y, drawstyle="steps-post", label=label, color=color, linestyle=dash, linewidth=2.6)
        words.append(f"{label}, {np.mean(km <= 200):.0%} within 200 km.")
    ax.legend(labelcolor="linecolor", fontsize=12, frameon=False, handlelength=3)
    sizes = dict.fromkeys(f"{np.size(values):,}" for _, values, _, _ in series)
    _describe(fig, " ".join(words), f"n = {' / '.join(sizes)} {noun} · seed {seed}")
    return fig, ax


@matplotlib.rc_context(RC)
def plot_reliability(panels: Mapping[str, Mapping[str, pd.DataFrame]], *, caption: str = "") -> tuple[Figure, Any]:
    """Draw reliability diagrams side by side: the share that was right over the probability that was given.

    On the dotted line a model is calibrated; below it overconfident, above it underconfident. Each panel holds one to
    five tables of `geolib.judge.calibrate.reliability`, by name, on a scale of its own.
    """
    for series in panels.values() or [{}]:
        _check_number("series in a panel", len(series))
    fig, made = axes(10, 10 / max(len(panels), 2) + 1.1, len(panels), squeeze=False)
    fig.set_layout_engine("constrained", h_pad=0.1)  # inches: the caption keeps clear of the labels
    words = []
    for ax, (title, series) in zip(made[0], panels.items(), strict=True):
        top = 1.05 * max(max(t["probability"].max(), t["share_high"].max()) for t in series.values())
        ax.plot([0, top], [0, top], color=INK, linewidth=1.2, linestyle=":")
        for (name, table), color, marker in zip(series.items(), COLORS, _MARKERS, strict=False):
            p, share, n = (table[column] for column in ("probability", "share", "photos"))
            ax.vlines(p, table["share_low"], table["share_high"], color=color, linewidth=2, alpha=0.45)
            ax.plot(p, share, color=color, linewidth=1.4, label=name, marker=marker, ms=6, markeredgecolor="white")
            given, right = (100 * np.average(values, weights=n) for values in (p, share))
            words.append(f"{title}, {name}: given {given:.1f} % on average, right {right:.1f} %")
        ax.set(xlim=(0, top), ylim=(0, top), aspect="equal", xlabel="probability given")
        ax.set_title(title, fontsize=13, loc="left")
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda v, _: f"{100 * v:.3g} %"))
            axis.get_major_locator().set_params(nbins=3)
    made[0][0].set_ylabel("share right")
    _legend_above(fig, max(made[0], key=lambda ax: len(ax.get_lines())))
    _describe(fig, f"Reliability diagrams. {'; '.join(words)}.", caption)
    return fig, made[0]


def _plane(points: npt.ArrayLike, n: int) -> tuple[npt.NDArray[Any], Figure, Any]:
    """Points (n, 2) as an array, and axes without scales for them."""
    xy = np.asarray(points, dtype=float)
    if xy.shape != (n, 2):
        raise ValueError(f"points {xy.shape} and {n} colours: expected (n, 2) and n")
    fig, ax = axes(10, 6.4)
    ax.set(xticks=[], yticks=[], aspect="equal")
    ax.spines[:].set_visible(False)
    return xy, fig, ax


@matplotlib.rc_context(RC)
def plot_plane(points: npt.ArrayLike, colour: npt.ArrayLike, *, label: str, caption: str = "") -> tuple[Figure, Any]:
    """Draw points (n, 2) of a projection, coloured by numbers (n,) whose meaning `label` tells."""
    xy, fig, ax = _plane(points, np.size(colour))
    bar = fig.colorbar(ax.scatter(*xy.T, c=colour, cmap="viridis", **_POINTS), ax=ax, shrink=0.7, label=label)
    bar.ax.collections[-1].set_alpha(1)
    bar.outline.set_visible(False)
    bar.ax.tick_params(color=QUIET, labelcolor=QUIET)
    _describe(fig, f"{len(xy):,} points in a plane, coloured by {label}.", caption)
    return fig, ax


@matplotlib.rc_context(RC)
def plot_groups(points: npt.ArrayLike, groups: Any, *, caption: str = "") -> tuple[Figure, Any]:
    """Draw points (n, 2) of a projection, coloured by one to five groups (n,); a `Categorical` sets their order."""
    labels = pd.Categorical(groups)
    _check_number("groups", len(labels.categories))
    xy, fig, ax = _plane(points, len(labels))
    sizes = []
    for name, color in zip(labels.categories, COLORS, strict=False):
        members = xy[labels == name]
        ax.scatter(*members.T, color=color, label=str(name), **_POINTS)
        sizes.append(f"{name} {len(members):,}")
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, markerscale=3)
    _describe(fig, f"{len(xy):,} points in a plane, coloured by group: {', '.join(sizes)}.", caption)
    return fig, ax


@matplotlib.rc_context(RC)
def plot_similarities(similarity: npt.ArrayLike, images: Sequence[Any], texts: Sequence[str]) -> tuple[Figure, Any]:
    """Draw a matrix (texts, images) of cosines, pictures (anything `imshow` takes) above, texts beside its rows."""
    values = np.asarray(similarity, dtype=float)
    if values.shape != (len(texts), len(images)) or not values.size:
        raise ValueError(f"a matrix {values.shape} for {len(texts)} texts and {len(images)} pictures: expected as many")
    cell, low, high = 6.4 / len(images), values.min(), values.max()
    fig, ax = axes(10, cell + 0.66 * cell * len(texts))
    ax.imshow(values, cmap="viridis", aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        color = "white" if value < (low + high) / 2 else "black"
        ax.text(column, row, f"{value:.2f}", ha="center", va="center", color=color)
    ax.set_yticks(range(len(texts)), [textwrap.fill(text, 44) for text in texts], fontsize=10, color=INK)
    ax.set_xticks([])
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    for column, image in enumerate(images):
        above = ax.inset_axes(((column + 0.03) / len(images), 1.015, 0.94 / len(images), 1.5 / len(texts)), anchor="S")
        above.imshow(image)
        above.set_axis_off()
    same = ", ".join(f"{value:.2f}" for value in np.diag(values))
    words = f"Cosines of {len(texts)} texts (rows) and {len(images)} pictures (columns), from {low:.2f} to {high:.2f}"
    _describe(fig, f"{words}; of a text with the picture of the same number: {same}.")
    return fig, ax


@matplotlib.rc_context(RC)
def plot_importance(
    rows: Mapping[str, Mapping[str, npt.ArrayLike]], *, caption: str, described: str
) -> tuple[Figure, Any]:
    """Draw maps of importance over their pictures: one row per picture, one column per map.

    Parameters
    ----------
    rows : row name to {column title: image}
        The same titles in each row. The first image is the picture, (h, w, 3) uint8. The others are a region (h, w)
        bool, or numbers (h, w): orange argues for, blue against. Anything else raises `ValueError`.
    described
        What is to be seen, for the alt text.
    """
    titles = list(next(iter(rows.values()), {}))
    if not titles or any(list(row) != titles for row in rows.values()):
        raise ValueError(f"{len(rows)} rows: expected at least one, with the same columns in each")
    side = 10 / len(titles)
    close = ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)
    fig = Figure(figsize=(10, 0.65 + side * len(rows) * 1.02), layout=close)
    made = fig.subplots(len(rows), len(titles), squeeze=False)
    for line, (name, row) in zip(made, rows.items(), strict=True):
        picture, *maps = (np.asarray(image, dtype=float) for image in row.values())
        line[0].imshow(picture / 255)
        line[0].set_ylabel(name, fontsize=11, color=INK)
        for ax, title, given in zip(line[1:], titles[1:], maps, strict=True):
            if given.shape != picture.shape[:2]:
                raise ValueError(f"{name}, {title} is {given.shape}: expected the picture's {picture.shape[:2]}")
            ax.imshow(0.45 * picture.mean(axis=2) + 0.55 * 255, cmap="gray", vmin=0, vmax=255)  # pale
            share = given / (np.abs(given).max() or 1.0)
            how: dict[str, Any] = {"vmin": -1, "vmax": 1, "interpolation": "bilinear"}
            ax.imshow(share, cmap=_ARGUES, alpha=np.abs(share) ** 0.7 * 0.9, **how)
    for ax, title in zip(made[0], titles, strict=True):
        ax.set_title(title, fontsize=12)
    for ax in made.flat:
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
    _describe(fig, f"{len(rows)} pictures, each with {', '.join(titles[1:])}: {', '.join(rows)}. {described}", caption)
    return fig, made
