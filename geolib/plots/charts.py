"""Figures without a map: values with their intervals, learning curves, lines over a setting, points in a plane.

As those of `geolib.plots.maps`, every function returns `(fig, axes)`, describes itself in `plots.alt_text(fig)`, and is shown
with `maps.show(fig)`. Colours are the same, apart in every colour vision.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.colors import LinearSegmentedColormap, ListedColormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter

from geolib.plots import maps
from geolib.plots.ground import COLORS, DASHES, INK, QUIET

_UNITS = {  # factor, how it is written, digits in the words
    "%": (100.0, "{:.4g} %", 1),
    "points": (100.0, "{:+.4g}", 1),
    "km": (1.0, "{:,.0f} km", 1),
    "bits": (1.0, "{:.4g}", 2),
    "": (1.0, "{:,.4g}", 1),
}
_MARKERS = ("o", "s", "^", "D", "v")  # of the series in a row: told apart without colour, too


def axes(width: float = 10, height: float = 5.6, columns: int = 1, **how: Any) -> tuple[Figure, Any]:
    """A figure in the course's style with one or more axes side by side: quiet spines, a quiet grid, no top, no right.

    how: for `Figure.subplots`, such as `sharey=True`.
    """
    with matplotlib.rc_context(maps._RC):
        fig = Figure(figsize=(width, height), layout="constrained")
        made = fig.subplots(1, columns, **how)
    for ax in np.ravel(made):
        maps.quiet(ax)
    return fig, made


@matplotlib.rc_context(maps._RC)
def plot_intervals(
    tables: pd.DataFrame | Mapping[str, pd.DataFrame],
    metrics: Mapping[str, str],
    *,
    unit: str = "%",
    zero: bool = False,
    caption: str = "",
) -> tuple[Figure, Any]:
    """Dots with intervals: one row a method or group, one column a metric; series side by side in a row.

    tables: a table of `geolib.evaluate`, whose index names the rows, or several by the name of the series, with the
        same rows. metrics: column of the table to title, such as {"within_750_km": "within 750 km"}; `column_low` and
        `column_high` bound the interval. unit: "%" for shares, "points" for their differences, "km", "bits", or "".
    zero: draw a line at 0, for differences.

    Raises `ValueError` for no row, no metric, an unknown unit, more series than colours, or rows that differ.
    """
    series = {"": tables} if isinstance(tables, pd.DataFrame) else dict(tables)
    if not series or not metrics or unit not in _UNITS or len(series) > len(COLORS):
        raise ValueError(
            f"{len(series)} series, {len(metrics)} metrics, {unit=}: expected 1 to {len(COLORS)} series, at least one "
            f"metric and a unit of {', '.join(map(repr, _UNITS))}"
        )
    names = [str(name) for name in next(iter(series.values())).index]
    if not names or any([str(name) for name in table.index] != names for table in series.values()):
        raise ValueError("the tables have other rows or none: expected the same methods or groups in each")
    factor, style, digits = _UNITS[unit]
    fig, made = axes(10, 0.9 + len(names) * (0.34 + 0.16 * len(series)), len(metrics), sharey=True, squeeze=False)
    words = []
    for ax, (column, title) in zip(made[0], metrics.items(), strict=True):
        for number, (label, table) in enumerate(series.items()):
            y = np.arange(len(names)) + 0.22 * (number - (len(series) - 1) / 2)
            value, low, high = (factor * table[f"{column}{end}"].to_numpy(dtype=float) for end in ("", "_low", "_high"))
            ax.hlines(y, low, high, color=COLORS[number], linewidth=2.6, alpha=0.55)
            dots = {"marker": _MARKERS[number], "markersize": 8, "markeredgecolor": "white", "linestyle": ""}
            ax.plot(value, y, color=COLORS[number], label=label, **dots)
            shown = ([style.format(round(v, digits) + 0.0) for v in column] for column in (value, low, high))
            for name, v, a, b in zip(names, *shown, strict=True):
                words.append(f"{label + ', ' if label else ''}{name}, {title}: {v} ({a} to {b})")
        ax.set_title(title, fontsize=13, loc="left")
        ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: style.format(v)))
        ax.locator_params(axis="x", nbins=4)
        if zero:
            ax.axvline(0, color=INK, linewidth=1)
    made[0][0].set(yticks=range(len(names)), ylim=(len(names) - 0.5, -0.5))
    made[0][0].set_yticklabels(names, color=INK)
    if len(series) > 1:
        fig.legend(*made[0][0].get_legend_handles_labels(), loc="outside upper right", ncols=len(series), frameon=False)
    _below(fig, caption)
    fig.set_label(f"Dots with 95 % intervals. {'; '.join(words)}.")
    return fig, made[0]


@matplotlib.rc_context(maps._RC)
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
    """One labelled line a series over x (n,); a band where a series is (value, low, high).

    mark: for a series, the x at which to set a dot, such as the epoch that was kept.
    Raises `ValueError` for no or too many series, or values that are not as many as x.
    """
    at = np.asarray(x, dtype=float)
    if not 1 <= len(lines) <= len(COLORS):
        raise ValueError(f"{len(lines)} series: expected 1 to {len(COLORS)}; more cannot be told apart in one figure")
    fig, ax = axes()
    ax.set(xlabel=xlabel, ylabel=ylabel, xscale="log" if log_x else "linear")
    ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.6g}"))
    words = [f"{ylabel} over {xlabel}."]
    for (name, given), color, dash in zip(lines.items(), COLORS, DASHES, strict=False):
        parts = [np.asarray(part, dtype=float) for part in (given if isinstance(given, tuple) else (given,))]
        if any(part.shape != at.shape for part in parts):
            raise ValueError(f"series {name!r} has {parts[0].size} values for {at.size} of x: expected as many")
        ax.plot(at, parts[0], color=color, linestyle=dash, linewidth=2.6, label=name)
        if len(parts) == 3:
            ax.fill_between(at, parts[1], parts[2], color=color, alpha=0.16, linewidth=0)
        if mark and name in mark:
            where = int(np.abs(at - mark[name]).argmin())
            ax.plot(at[where], parts[0][where], "o", color=color, markersize=10, markeredgecolor="white")
        words.append(f"{name}: from {parts[0][0]:.3g} to {parts[0][-1]:.3g}.")
    if len(lines) > 1:
        ax.legend(frameon=False)
    _below(fig, caption)
    fig.set_label(" ".join(words))
    return fig, ax


@matplotlib.rc_context(maps._RC)
def plot_reliability(panels: Mapping[str, Mapping[str, pd.DataFrame]], *, caption: str = "") -> tuple[Figure, Any]:
    """Reliability diagrams side by side: the share that was right over the probability that was given.

    panels: title to series to a table of `geolib.judge.calibrate.reliability`. On the dotted line a probability means what it
    says; below it the model is too sure, above it too unsure. Each panel has its own scale.
    Raises `ValueError` for no panel, no series, or more series than colours.
    """
    if not panels or not all(1 <= len(series) <= len(COLORS) for series in panels.values()):
        raise ValueError(f"{[len(s) for s in panels.values()]} series a panel: expected 1 to {len(COLORS)} in each")
    fig, made = axes(10, 10 / max(len(panels), 2) + 0.9, len(panels), squeeze=False)
    words = []
    for ax, (title, series) in zip(made[0], panels.items(), strict=True):
        top = 1.05 * max(max(t["probability"].max(), t["share_high"].max()) for t in series.values())
        ax.plot([0, top], [0, top], color=INK, linewidth=1.2, linestyle=":")
        for (name, table), color, marker in zip(series.items(), COLORS, _MARKERS, strict=False):
            p, share, n = (table[column] for column in ("probability", "share", "photos"))
            ax.vlines(p, table["share_low"], table["share_high"], color=color, linewidth=2, alpha=0.45)
            dots = {"marker": marker, "markersize": 6, "markeredgecolor": "white"}
            ax.plot(p, share, color=color, linewidth=1.4, label=name, **dots)
            said, right = (np.average(values, weights=n) for values in (p, share))
            words.append(f"{title}, {name}: given {100 * said:.1f} % on average, right {100 * right:.1f} %")
        ax.set(xlim=(0, top), ylim=(0, top), aspect="equal", xlabel="probability given")
        ax.set_title(title, fontsize=13, loc="left")
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda v, _: f"{100 * v:.3g} %"))
            axis.get_major_locator().set_params(nbins=3)
    made[0][0].set_ylabel("share right")
    if max(map(len, panels.values())) > 1:
        names = max(panels.values(), key=len)
        handles, labels = made[0][list(panels.values()).index(names)].get_legend_handles_labels()
        fig.legend(handles, labels, loc="outside upper right", ncols=len(labels), frameon=False)
    _below(fig, caption)
    fig.set_label(f"Reliability diagrams. {'; '.join(words)}.")
    return fig, made[0]


@matplotlib.rc_context(maps._RC)
def plot_plane(
    points: npt.ArrayLike, colour: npt.ArrayLike, *, label: str, cmap: str = "viridis", caption: str = ""
) -> tuple[Figure, Any]:
    """Points (n, 2) of a projection in a plane, coloured by a number each (n,), whose meaning `label` says.

    Raises `ValueError` for points that are not (n, 2) or colours that are not as many.
    """
    xy, values = np.asarray(points, dtype=float), np.asarray(colour, dtype=float)
    if xy.ndim != 2 or xy.shape[1] != 2 or values.shape != xy.shape[:1]:
        raise ValueError(f"points {xy.shape} and colours {values.shape}: expected (n, 2) and (n,)")
    fig, ax = axes(10, 6.4)
    drawn = ax.scatter(*xy.T, c=values, s=9, cmap=cmap, linewidth=0, alpha=0.8, rasterized=True)
    ax.set(xticks=[], yticks=[], aspect="equal")
    ax.spines[:].set_visible(False)
    bar = fig.colorbar(drawn, ax=ax, shrink=0.7, label=label)
    bar.outline.set_visible(False)
    if bar.solids is not None:
        bar.solids.set_alpha(1)
    bar.ax.tick_params(color=QUIET, labelcolor=QUIET)
    _below(fig, caption)
    fig.set_label(f"{len(xy):,} points in a plane, coloured by {label}.")
    return fig, ax


@matplotlib.rc_context(maps._RC)
def plot_groups(points: npt.ArrayLike, groups: npt.ArrayLike, *, caption: str = "") -> tuple[Figure, Any]:
    """Points (n, 2) of a projection in a plane, coloured by the group (n,) of each, in order of first appearance.

    groups: an ordered `pandas.Categorical` keeps its own order. Raises `ValueError` for points that are not (n, 2),
    groups that are not as many, and more groups than colours.
    """
    xy, labels = np.asarray(points, dtype=float), pd.Series(groups)
    names = labels.cat.categories if isinstance(labels.dtype, pd.CategoricalDtype) else pd.unique(labels)
    if xy.ndim != 2 or xy.shape[1] != 2 or len(labels) != len(xy) or not 1 <= len(names) <= len(COLORS):
        raise ValueError(
            f"points {xy.shape}, {len(labels)} labels, {len(names)} groups: expected (n, 2), n, 1 to {len(COLORS)}"
        )
    fig, ax = axes(10, 6.4)
    words = []
    for name, color in zip(names, COLORS, strict=False):
        here = (labels == name).to_numpy()
        words.append(f"{name} {here.sum():,}")
        ax.scatter(*xy[here].T, s=9, color=color, linewidth=0, alpha=0.8, label=str(name), rasterized=True)
    ax.set(xticks=[], yticks=[], aspect="equal")
    ax.spines[:].set_visible(False)
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, markerscale=3)
    _below(fig, caption)
    fig.set_label(f"{len(xy):,} points in a plane, coloured by group: {', '.join(words)}.")
    return fig, ax


@matplotlib.rc_context(maps._RC)
def plot_similarities(similarity: npt.ArrayLike, images: Sequence[Any], texts: Sequence[str]) -> tuple[Figure, Any]:
    """A matrix (texts, images) of cosines as a heat map, pictures above its columns and texts beside its rows.

    images: anything `imshow` takes. Raises `ValueError` for a matrix of another shape.
    """
    values = np.asarray(similarity, dtype=float)
    if values.shape != (len(texts), len(images)) or not values.size:
        raise ValueError(f"a matrix {values.shape} for {len(texts)} texts and {len(images)} pictures: expected as many")
    cell = 6.4 / len(images)
    fig, ax = axes(10, cell + 0.66 * cell * len(texts))
    ax.imshow(values, cmap="viridis", aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        dark = value < (values.min() + values.max()) / 2
        ax.text(column, row, f"{value:.2f}", ha="center", va="center", color="white" if dark else "black")
    ax.set_xticks([])
    ax.set_yticks(range(len(texts)), [textwrap.fill(text, 44) for text in texts], fontsize=10, color=INK)
    ax.grid(visible=False)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    for column, image in enumerate(images):
        above = ax.inset_axes(((column + 0.03) / len(images), 1.015, 0.94 / len(images), 1.5 / len(texts)))
        above.imshow(image)
        above.set(anchor="S")
        above.set_axis_off()
    fig.set_label(
        f"{len(texts)} texts (rows) and {len(images)} pictures (columns) with their cosines, from {values.min():.2f} "
        f"to {values.max():.2f}; of a text with the picture of the same number: "
        f"{', '.join(f'{value:.2f}' for value in np.diag(values))}."
    )
    return fig, ax


@matplotlib.rc_context(maps._RC)
def plot_importance(
    rows: Mapping[str, Mapping[str, npt.ArrayLike]], *, caption: str = "", described: str = ""
) -> tuple[Figure, Any]:
    """Maps of importance laid over the pictures that they are of: one row a picture, one column a map.

    rows: the row's name to its columns, {title: image}, the same titles in each. The first image of a row is its
        picture, uint8 (h, w, 3). Others are pictures too; or bool (h, w), shown as a region; or numbers (h, w), shown
        in colour: orange argues for, blue against, each map scaled to its largest value.
    described: what is to be seen, for the description in words.

    Raises `ValueError` for no row, rows of other columns, or a map that is not of its picture's shape.
    """
    titles = list(next(iter(rows.values()), {}))
    if not titles or any(list(row) != titles for row in rows.values()):
        raise ValueError(f"{len(rows)} rows: expected at least one, with the same columns in each")
    side = 10 / len(titles)
    close = ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)
    fig = Figure(figsize=(10, 0.35 + side * len(rows) * 1.02 + 0.3 * bool(caption)), layout=close)
    made = fig.subplots(len(rows), len(titles), squeeze=False)
    for line, (name, row) in zip(made, rows.items(), strict=True):
        picture = np.asarray(row[titles[0]])
        for ax, (title, given) in zip(line, row.items(), strict=True):
            _lay_over(ax, picture, np.asarray(given), f"{name}, {title}")
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
        line[0].set_ylabel(name, fontsize=11, color=INK)
    for ax, title in zip(made[0], titles, strict=True):
        ax.set_title(title, fontsize=12)
    _below(fig, caption)
    words = f"{len(rows)} pictures, each with {', '.join(titles[1:]) or 'nothing else'}: {', '.join(rows)}."
    fig.set_label(f"{words} {described}".strip())
    return fig, made


_ARGUES = LinearSegmentedColormap.from_list("argues", [COLORS[0], "#7db9dd", "white", "#f0a875", COLORS[1]])


def _lay_over(ax: Any, picture: npt.NDArray[Any], given: npt.NDArray[Any], where: str) -> None:
    """One panel: a picture as it is, or a faint grey one with a region or a map over it."""
    if given.ndim == 3:
        ax.imshow(given)
        return
    if given.shape != picture.shape[:2]:
        raise ValueError(f"{where} is {given.shape}: expected a map of the picture's {picture.shape[:2]}")
    grey = picture.mean(axis=2)
    ax.imshow(0.45 * grey + 0.55 * 255, cmap="gray", vmin=0, vmax=255)
    if given.dtype == bool:
        ax.imshow(np.ma.masked_where(~given, given), cmap=ListedColormap([COLORS[1]]), alpha=0.75, interpolation="none")
        return
    most = np.abs(given).max() or 1.0
    share = given / most
    ax.imshow(share, cmap=_ARGUES, vmin=-1, vmax=1, alpha=np.abs(share) ** 0.7 * 0.9, interpolation="bilinear")


def plot_history(history: pd.DataFrame, names: Sequence[str] = ()) -> tuple[Figure, Any]:
    """Learning curves of `geolib.heads.train_heads`: one panel a level, training and calibration loss by epoch.

    names: of the levels, coarse to fine; default `level 1`, ... The dot marks the epoch whose weights were kept.
    """
    levels = sum(str(column).startswith("train_loss_") for column in history)
    names = names or [f"level {level + 1}" for level in range(levels)]
    with matplotlib.rc_context(maps._RC):
        fig, made = axes(10, 3.6, levels, squeeze=False)
        kept = history.attrs.get("best_epoch", [len(history)] * levels)
        for level, (ax, name) in enumerate(zip(made[0], names, strict=True)):
            for side, color, dash in (("train", COLORS[0], DASHES[0]), ("calibration", COLORS[1], DASHES[1])):
                if (column := f"{side}_loss_{level}") in history:
                    ax.plot(history["epoch"], history[column], color=color, linestyle=dash, linewidth=2.4, label=side)
                    if side == "calibration":
                        best = history.loc[history["epoch"] == kept[level], column].iloc[0]
                        ax.plot(kept[level], best, "o", color=color, markersize=9, markeredgecolor="white")
            ax.set_title(name, fontsize=13, loc="left")
            ax.set_xlabel("epoch")
            ax.locator_params(axis="x", nbins=4, integer=True)
        made[0][0].set_ylabel("loss (nats)")
        made[0][-1].legend(frameon=False, fontsize=11)
    said = ", ".join(f"{name} keeps epoch {epoch}" for name, epoch in zip(names, kept, strict=True))
    fig.set_label(f"Training and calibration loss of {levels} levels over {len(history)} epochs: {said}.")
    return fig, made[0]


def _below(fig: Figure, text: str) -> None:
    """A quiet line under the figure."""
    if text:
        fig.supxlabel(text, x=0.01, ha="left", fontsize=12, color=QUIET)
