"""What the maps show: the right things, at the right places, drawn without network, pyplot or global settings."""

import io
import shutil
import time
import warnings

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pyproj
import pytest
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.colors import LogNorm, to_hex
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from PIL import Image

from geolib import plots
from geolib.cells import GeocellTree
from geolib.common.errors import MissingDataError
from geolib.common.files import data_path
from geolib.judge import calibrate
from geolib.plots import ground, maps
from geolib.sphere import haversine_km

EQUAL_EARTH = pyproj.Transformer.from_crs("EPSG:4326", "+proj=eqearth +ellps=WGS84", always_xy=True)
AUCKLAND, EARTH_KM2 = (-36.8, 174.8), 510.07e6
PHOTO = np.zeros((30, 40, 3), np.uint8)


def on_map(lat, lon):
    """What pyproj says of places, (n, 2) metres."""
    return np.column_stack(EQUAL_EARTH.transform(np.atleast_1d(lon), np.atleast_1d(lat)))


def drawn(ax, kind, **wanted):
    """The artists of a kind with these properties, such as `zorder=4`."""
    found = [artist for artist in ax.get_children() if isinstance(artist, kind)]
    return [artist for artist in found if all(artist.properties()[name] == value for name, value in wanted.items())]


def stars_and_discs(ax):
    """Everything drawn in the colours of the truth and of the predictions."""
    by_color = {ground.TRUTH["color"]: [], ground.PREDICTION["color"]: []}
    for mark in drawn(ax, PathCollection):
        if len(mark.get_offsets()) == 1 and len(mark.get_sizes()):
            by_color[to_hex(mark.get_facecolor()[0]).upper()].append(mark)
    return by_color.values()


def areas(paths):
    """Area of each closed path by the shoelace formula, its rings together."""
    result = []
    for path in paths:
        rings = np.split(path.vertices, np.flatnonzero(path.codes == path.MOVETO)[1:])
        signed = [np.sum(ring[:-1, 0] * ring[1:, 1] - ring[1:, 0] * ring[:-1, 1]) / 2 for ring in rings]
        result.append(abs(sum(signed)))
    return np.array(result)


def test_every_figure_is_described_without_a_title_and_small(figures):
    for name, (fig, ax) in figures.items():
        assert isinstance(fig, Figure) and ax in fig.axes
        assert ax.get_title() == "" and fig._suptitle is None
        assert len(ground.alt_text(fig)) > 40
        content = ground.png(fig, 110 if name == "nesting" else 30)
        assert len(content) < 300_000
        dpi = 110 if name == "nesting" else 30
        assert Image.open(io.BytesIO(content)).size == tuple((fig.get_size_inches() * dpi).round())
    assert plt.get_fignums() == []


@pytest.mark.parametrize("lost", ["physical/ne_50m_land.shp", "cultural/ne_50m_admin_0_boundary_lines_land.dbf"])
def test_a_missing_layer_is_an_error_that_says_what_to_do(tmp_path, monkeypatch, lost):
    shutil.copytree(data_path("natural_earth"), tmp_path / "natural_earth")
    (tmp_path / "natural_earth/shapefiles/natural_earth" / lost).unlink()
    monkeypatch.setenv("GEOLIB_DATA", str(tmp_path))
    for cached in (ground.ground_shapes, ground.world_paths):
        cached.cache_clear()
    with pytest.raises(MissingDataError, match=r"is missing.*complete clone"):
        maps.plot_photos([1.0], [2.0])


# Photos and errors


def test_few_photos_are_dots_where_pyproj_puts_them(figures, photos):
    _, ax = figures["few photos"]
    (dots,) = [c for c in drawn(ax, PathCollection) if len(c.get_offsets()) == 1999]
    np.testing.assert_allclose(dots.get_offsets(), on_map(photos[0][:1999], photos[1][:1999]), atol=1)


def test_many_photos_are_counted_in_regular_hexagons_of_the_stated_area(figures):
    fig, ax = figures["photos"]
    (hexagons,) = drawn(ax, PolyCollection)
    assert hexagons.get_array().sum() == 2800
    ring = hexagons.get_paths()[0].vertices[:6]
    ring = np.vstack([ring, ring[:1]])
    sides = np.linalg.norm(np.diff(ring, axis=0), axis=1)
    assert sides.max() / sides.min() < 1.02
    area = areas([matplotlib.path.Path(ring, [1] + [2] * 6)])
    assert area / 1e6 == pytest.approx(42_000, rel=0.01)
    texts = " ".join(text.get_text() for text in fig.findobj(matplotlib.text.Text))
    assert "42,000 km²" in texts and "n = 2,800 photos" in texts
    assert ax.get_xlim() == pytest.approx((-17_243_959, 17_243_959), abs=1000)  # still the whole world


def test_errors_are_coloured_at_the_true_places(figures, photos):
    fig, ax = figures["errors"]
    lat, lon = photos
    (dots,) = drawn(ax, PathCollection, zorder=4)
    expected = on_map(lat, lon)
    order, found = np.lexsort(expected.T), np.lexsort(np.asarray(dots.get_offsets()).T)
    np.testing.assert_allclose(np.asarray(dots.get_offsets())[found], expected[order], atol=1)
    np.testing.assert_allclose(dots.get_array()[found], haversine_km(lat[::-1], lon[::-1], lat, lon)[order])
    assert fig.texts[0].get_text() == "n = 2,800 photos"
    ticks = [tick.get_text() for tick in fig.axes[-1].get_xticklabels()]
    assert ticks == ["1", "25", "200", "750", "2,500", "20,000"]


def test_maps_call_what_was_counted_by_its_noun(tree, photos):
    made = [
        maps.plot_photos(*photos, noun="postcards"),
        maps.plot_error_map(*photos, *photos, noun="postcards"),
        maps.plot_cells(tree, noun="postcards"),
    ]
    for fig, _ in made:
        told = " ".join([fig.get_label(), *(text.get_text() for text in fig.findobj(Text))])
        assert "postcards" in fig.get_label() and "photo" not in told


def test_an_error_of_zero_has_a_colour_and_other_numbers_of_places_are_refused():
    _, ax = maps.plot_error_map([1, 2], [1, 2], [1, 3], [1, 2])
    (dots,) = drawn(ax, PathCollection, zorder=4)
    assert np.isfinite(dots.to_rgba(dots.get_array())).all() and dots.get_array().min() == 1e-3
    with pytest.raises(ValueError, match="2 predicted places for 3 true ones"):
        maps.plot_error_map([1, 2], [1, 2], [1, 2, 3], [1, 2, 3])


# Cells


@pytest.mark.parametrize(("level", "name"), [(0, "coarse cells"), (1, "cells")])
def test_cells_keep_their_areas_and_are_coloured_by_density(figures, tree, level, name):
    """The strongest check of the drawing: a cell torn at the dateline, or with straight long edges, changes area."""
    fig, ax = figures[name]
    (cells,) = drawn(ax, PathCollection, zorder=2)
    found, on_earth = areas(cells.get_paths()) / 1e6, tree.areas_km2(level)
    assert len(found) == tree.n_cells[level]
    assert found.sum() == pytest.approx(EARTH_KM2, rel=1e-3)
    np.testing.assert_allclose(found, on_earth, rtol=0.012)  # the map's Earth is flattened, the tree's is a sphere
    xy = np.concatenate([path.vertices for path in cells.get_paths()])
    edges = np.transpose([ax.get_xlim(), ax.get_ylim()])
    np.testing.assert_allclose([xy.min(axis=0), xy.max(axis=0)], edges, rtol=1e-3)
    np.testing.assert_allclose(cells.get_array(), tree.counts(level) / on_earth * 1000)
    assert isinstance(cells.norm, LogNorm) and cells.norm.vmin < cells.norm.vmax
    assert fig.texts[0].get_text() == f"{tree.n_cells[level]} cells (level {level}) · n = 2,800 photos"


def test_a_tree_of_one_cell_is_the_whole_earth():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one photo fills one cell, and the tree says so
        tree = GeocellTree.fit([1.0], [2.0], cells_per_level=(5,), min_photos=1)
    fig, ax = maps.plot_cells(tree)
    (cells,) = drawn(ax, PathCollection, zorder=2)
    assert areas(cells.get_paths()) / 1e6 == pytest.approx(EARTH_KM2, rel=1e-3)
    assert ground.png(fig, 20)


def test_ten_thousand_cells_take_seconds():
    rng = np.random.default_rng(0)
    lat, lon = np.degrees(np.arcsin(rng.uniform(-1, 1, 40_000))), rng.uniform(-180, 180, 40_000)
    tree = GeocellTree.fit(lat, lon, cells_per_level=(10_000,), min_photos=1)
    assert tree.n_cells[0] > 6_000
    start = time.process_time()
    ground.png(maps.plot_cells(tree)[0], 30)
    assert time.process_time() - start < 12  # about one


def test_a_close_up_shows_every_level_with_its_number_of_cells(figures, tree):
    fig, ax = figures["nesting"]
    assert len([a for a in drawn(ax, PathCollection) if 2.8 < a.get_zorder() < 2.91]) == tree.n_levels - 1
    (finest,) = drawn(ax, PathCollection, zorder=2)
    density = tree.counts(-1) / tree.areas_km2(-1) * 1000
    assert len(finest.get_paths()) < tree.n_cells[-1]  # only those in the view
    assert np.isin(finest.get_array(), density).all()
    assert [text.get_text() for text in fig.texts] == [f"{n:,} cells" for n in tree.n_cells[::-1]]
    assert " > ".join(f"{n:,}" for n in tree.n_cells) in ground.alt_text(fig)


def test_partitions_side_by_side_share_one_scale(tree, photos):
    grid = GeocellTree.uniform(*photos, (150,))
    fig, axes = maps.plot_partitions({"quadtree": tree, "grid": grid}, (48, 6, 1100))
    first, second = (drawn(ax, PathCollection, zorder=2)[0] for ax in axes)
    assert first.norm.vmin == second.norm.vmin and first.norm.vmax == second.norm.vmax
    assert len(first.get_paths()) and len(second.get_paths())
    assert f"quadtree: {tree.n_cells[-1]} cells; grid: {grid.n_cells[-1]} cells" in ground.alt_text(fig)


def test_levels_and_views_that_do_not_exist_are_refused(tree):
    with pytest.raises(ValueError, match="level=2"):
        maps.plot_cells(tree, 2)
    with pytest.raises(ValueError, match="expected at least one"):
        maps.plot_partitions({}, (48, 6, 1100))
    for draw in (lambda view: maps.plot_nesting(tree, view), lambda view: maps.plot_partitions({"a": tree}, view)):
        with pytest.raises(ValueError, match="a view of 9000 km"):
            draw((48, 6, 9000))
        with pytest.raises(ValueError, match=r"lat\[0\] = 95"):
            draw((95, 6, 900))


# Predictions


def test_truth_and_guesses_stand_where_they_are(tree, posterior):
    truth = (48.86, 2.35)
    top = pd.DataFrame({"lat": [-36.8, 40.7, 35.7], "lon": [174.8, -74.0, 139.7], "probability": [0.6, 0.3, 0.1]})
    fig, ax = maps.plot_prediction(posterior, tree, truth=truth, top=top)
    (star,), discs = stars_and_discs(ax)
    np.testing.assert_allclose(star.get_offsets(), on_map(*truth), atol=1)
    expected = on_map(top["lat"], top["lon"])
    np.testing.assert_allclose([disc.get_offsets()[0] for disc in discs], expected, atol=1)
    sizes = [disc.get_sizes()[0] for disc in discs]
    assert sizes == sorted(sizes, reverse=True) and sizes[0] > 1.5 * sizes[2]
    numbers = {text.get_text(): text.get_position() for text in ax.texts if text.get_text().isdigit()}
    np.testing.assert_allclose([numbers[str(rank)] for rank in (1, 2, 3)], expected, atol=1)
    caption = fig.texts[0].get_text()
    assert "1 New Zealand 60 %" in caption and "2 United States 30 %" in caption and "★ truth: France" in caption
    assert f"{haversine_km(*truth, *AUCKLAND):,.0f} km" in ground.alt_text(fig) and "France" in ground.alt_text(fig)


def test_the_arc_is_the_great_circle_with_its_length(tree, posterior):
    _, ax = maps.plot_prediction(posterior, tree, truth=(64.1, -21.9), top=1)
    (star,), (disc,) = stars_and_discs(ax)
    (arc,) = drawn(ax, Line2D)
    xy = np.column_stack(arc.get_data())
    xy = xy[np.isfinite(xy).all(axis=1)]
    np.testing.assert_allclose([xy[0], xy[-1]], [star.get_offsets()[0], disc.get_offsets()[0]], atol=1)
    lon, lat = EQUAL_EARTH.transform(xy[:, 0], xy[:, 1], direction="INVERSE")
    km = haversine_km(lat[0], lon[0], lat[-1], lon[-1])
    assert haversine_km(lat[:-1], lon[:-1], lat[1:], lon[1:]).sum() == pytest.approx(km, rel=1e-3)
    assert f"{km:,.0f} km" in [text.get_text() for text in ax.texts]


def test_an_arc_across_the_dateline_is_broken_at_the_edge_and_its_label_stays_in_the_figure(figures):
    fig, ax = figures["prediction"]  # from Fiji, west of the line, to Auckland
    (arc,) = drawn(ax, Line2D)
    x = np.asarray(arc.get_xdata(), dtype=float)
    assert np.isnan(x).sum() == 1 and np.nanmax(np.abs(np.diff(x))) < 1e6
    (label,) = [text for text in ax.texts if text.get_text().endswith(" km")]
    box = label.get_window_extent()
    assert box.x0 >= 0 and box.x1 <= fig.bbox.x1


@pytest.mark.parametrize("truth", [(47.5, 19.2), (41.9, 40.0), (0.0, -120.0)])
def test_the_length_of_an_arc_hides_no_guess(tree, posterior, truth):
    top = pd.DataFrame({"lat": [41.9, 60.0, 41.0], "lon": [12.5, 17.0, -70.0], "probability": [0.8, 0.1, 0.1]})
    _, ax = maps.plot_prediction(posterior, tree, truth=truth, top=top)
    (label,) = [text for text in ax.texts if text.get_text().endswith(" km")]
    places = on_map([*top["lat"], truth[0]], [*top["lon"], truth[1]])
    assert not label.get_window_extent().padded(3).count_contains(ax.transData.transform(places))


@pytest.mark.parametrize(
    "truth", [(36.8, -5.2), (-36.8, 174.8), (90.0, 0.0), (-90.0, 0.0), (0.0, 180.0), (0.0, -180.0)]
)
def test_antipodes_poles_dateline_and_exact_hits_are_drawn(tree, posterior, truth):
    top = pd.DataFrame({"lat": [-36.8], "lon": [174.8], "probability": [1.0]})
    for zoom in (False, True):
        fig, ax = maps.plot_prediction(posterior, tree, truth=truth, top=top, zoom=zoom)
        (star,), (disc,) = stars_and_discs(ax)
        assert np.isfinite(star.get_offsets()).all() and np.isfinite(disc.get_offsets()).all()
        assert ground.png(fig, 10)


def test_a_hidden_guess_is_a_dot_without_a_number(tree, posterior):
    top = pd.DataFrame({"lat": [48.86, 48.87, 0.0], "lon": [2.35, 2.36, 0.0], "probability": [0.5, 0.3, 0.2]})
    fig, ax = maps.plot_prediction(posterior, tree, top=top)
    assert [text.get_text() for text in ax.texts] == ["1", "3"]
    _, discs = stars_and_discs(ax)
    assert [disc.get_sizes()[0] for disc in discs][1] < 60
    assert "2 France 30 %" in fig.texts[0].get_text()  # named all the same


def test_the_posterior_is_shaded_where_it_is(figures, tree, posterior):
    _, ax = figures["no truth"]
    (cells,) = drawn(ax, PathCollection, zorder=2)
    shaded = posterior >= posterior.max() / 1000
    np.testing.assert_allclose(cells.get_array(), posterior[shaded])
    np.testing.assert_allclose(areas(cells.get_paths()) / 1e6, tree.areas_km2(-1)[shaded], rtol=0.012)
    red, _, blue, _ = cells.cmap(cells.norm(posterior.max()))
    assert red > 2 * blue  # in the prediction's hue


@pytest.mark.parametrize(
    ("peak", "truth"),
    [((-36.8, 174.8), (-41.3, 174.8)), ((-17.7, -179.9), (-16.5, 179.0)), ((-77.8, 166.7), (-89, -20))],
)
def test_a_close_up_holds_guesses_and_truth_across_dateline_and_pole(tree, peak, truth):
    posterior = np.exp(-haversine_km(*tree.centers(-1), *peak) / 30)
    _, ax = maps.plot_prediction(posterior / posterior.sum(), tree, truth=truth, zoom=True)
    assert ax.get_ylim()[1] < 4.1e6
    (star,), discs = stars_and_discs(ax)
    for mark in [star, *discs]:
        x, y = mark.get_offsets()[0]
        assert ax.get_xlim()[0] < x < ax.get_xlim()[1] and ax.get_ylim()[0] < y < ax.get_ylim()[1]
    # Nothing comes from the far side, where shapes turn inside out: 11,000 km on this map are 120 degrees.
    shapes = [c for c in drawn(ax, PathCollection) if len(c.get_paths()) > 1]
    assert len(shapes) >= 4
    for path in (path for collection in shapes for path in collection.get_paths() if len(path.vertices)):
        assert np.hypot(*path.vertices.T).max() < 1.1e7


def test_a_posterior_all_over_the_world_is_not_zoomed(tree):
    _, ax = maps.plot_prediction(np.full(tree.n_cells[-1], 1 / tree.n_cells[-1]), tree, zoom=True)
    assert ax.projection == ground.WORLD


@pytest.mark.parametrize(("truth", "corner"), [((48.9, 2.4), "left"), ((-55.0, -90.0), "not lower left")])
def test_the_photo_lies_in_a_corner_away_from_the_marks(tree, posterior, truth, corner):
    fig, ax = maps.plot_prediction(posterior, tree, truth=truth, top=1, image=PHOTO)
    (inset,) = [axes for axes in fig.axes if axes.images]
    box = inset.get_position()
    assert box.x0 < 0.1 if corner == "left" else not (box.x0 < 0.1 and box.y0 < 0.3)
    for mark in (mark for group in stars_and_discs(ax) for mark in group):
        place = fig.transFigure.inverted().transform(ax.transData.transform(mark.get_offsets()[0]))
        assert not box.contains(*place)


def test_a_posterior_or_a_truth_that_cannot_be_drawn_is_refused(tree, posterior):
    bad = [posterior[1:], posterior - 0.5, posterior * np.nan, np.zeros_like(posterior), posterior[None]]
    for wrong in bad:
        with pytest.raises(ValueError, match=r"posterior.*expected.*one row of `fuse`"):
            maps.plot_prediction(wrong, tree)
        with pytest.raises(ValueError, match=r"posterior.*expected.*one row of `fuse`"):
            maps.plot_decoded(wrong, tree, {"mode": AUCKLAND}, truth=AUCKLAND)
    with pytest.raises(ValueError, match=r"lat\[0\] = 95"):
        maps.plot_prediction(posterior, tree, truth=(95.0, 0.0))


def test_posteriors_side_by_side_mark_truth_and_best_cell_in_one_scale(tree, posterior):
    coarse = np.bincount(tree.ancestors[:, 0], weights=posterior)
    fig, axes = maps.plot_posteriors(
        {"coarse": coarse, "fine": posterior}, tree, truth=AUCKLAND, kept={"coarse": [0, 1]}
    )
    assert len(axes) == 2 and ground.alt_text(fig).startswith("2 maps of one photo. coarse: likeliest cell")
    shades = [drawn(ax, PathCollection, zorder=2)[0] for ax in axes]
    assert shades[0].norm.vmax == shades[1].norm.vmax == coarse.max()
    for ax, level, p in zip(axes, (0, 1), (coarse, posterior), strict=True):
        stars, discs = stars_and_discs(ax)
        assert np.allclose(stars[0].get_offsets(), on_map(*AUCKLAND), atol=1)
        best = (centre[p.argmax()] for centre in tree.centers(level))
        assert np.allclose(discs[0].get_offsets(), on_map(*best), atol=1)
    assert len(drawn(axes[0], PathCollection, zorder=3)[0].get_paths()) == 2
    assert not drawn(axes[1], PathCollection, zorder=3)
    close, _ = maps.plot_posteriors({"near": posterior}, tree, truth=AUCKLAND, view=(-36.8, 174.8, 900))
    assert len(ground.png(close, 60)) < 300_000
    with pytest.raises(ValueError, match="no maps: expected at least one"):
        maps.plot_posteriors({}, tree, truth=AUCKLAND)
    for given in ({"odd": np.ones(7)}, {"none": np.zeros(tree.n_cells[-1])}):
        with pytest.raises(ValueError, match=r"(odd|none) .*expected probabilities of \(\d+, \d+\) cells"):
            maps.plot_posteriors(given, tree, truth=AUCKLAND)


def test_regions_are_as_large_on_the_map_as_on_the_ground(tree, posterior):
    likely = posterior > 1e-4
    fig, axes = maps.plot_regions(
        {"likely": likely, "none": np.zeros_like(likely)}, tree, truth={"likely": AUCKLAND, "none": (0, 0)}
    )
    for ax, place in zip(axes, (AUCKLAND, (0, 0)), strict=True):
        (star,), discs = stars_and_discs(ax)
        assert np.allclose(star.get_offsets(), on_map(*place), atol=1) and not discs
    (region,) = drawn(axes[0], PathCollection, zorder=2)
    assert areas(region.get_paths()).sum() / 1e6 == pytest.approx(tree.areas_km2(-1)[likely].sum(), rel=0.02)
    assert f"likely: {likely.sum():,} of {likely.size:,} cells" in ground.alt_text(fig)
    for given in ({}, {"short": likely[:-1]}, {"shares": posterior}):
        with pytest.raises(ValueError, match=r"expected (bool|at least one)"):
            maps.plot_regions(given, tree, truth=dict.fromkeys(given, AUCKLAND))


def test_named_answers_stand_where_they_are_and_share_a_disc_where_they_would_hide_each_other(tree, posterior):
    places = {"argmax": AUCKLAND, "mode": (-36.9, 174.9), "mean": (48.9, 2.4)}
    fig, ax = maps.plot_decoded(posterior, tree, places, truth=(-17.7, -179.9))
    (discs,) = drawn(ax, PathCollection, zorder=5)
    assert np.allclose(discs.get_offsets(), on_map([-36.8, 48.9], [174.8, 2.4]))
    assert [note.get_text() for note in ax.texts] == ["argmax · mode", "mean"]
    boxes = [note.get_window_extent() for note in ax.texts]
    assert all(ax.bbox.x0 <= box.x0 and box.x1 <= ax.bbox.x1 for box in boxes), "a label runs off the map"
    assert "argmax · mode at -37, 175" in ground.alt_text(fig) and "the truth at -18, -180" in ground.alt_text(fig)
    with pytest.raises(ValueError, match="no place to mark"):
        maps.plot_decoded(posterior, tree, {}, truth=AUCKLAND)


# A number for each place on Earth


def test_a_landscape_is_shaded_where_its_numbers_are():
    values = np.zeros((19, 37))
    values[9 + 3, 18 + 5] = 7  # 30 north, 50 east
    fig, ax = maps.plot_landscape(values, "points", {"top": (30, 50)}, truth=(0, -180))
    (shades,) = drawn(ax, QuadContourSet)
    bands = [path for path in shades.get_paths() if len(path.vertices)]
    (top,) = on_map(30, 50)
    assert bands[-1].contains_point(top), "the top is where the largest number stands"
    assert np.abs(bands[-1].vertices - top).max() < 300_000
    edge = on_map(0, 179.99)[0, 0]
    assert bands[0].vertices[:, 0].max() >= edge and bands[0].vertices[:, 0].min() <= -edge, "shaded from edge to edge"
    assert "points, highest near 30, 50, with top at 30, 50" in ground.alt_text(fig)
    for bad in (np.zeros(5), np.zeros((1, 5)), np.full((3, 5), np.nan)):
        with pytest.raises(ValueError, match="expected finite numbers"):
            maps.plot_landscape(bad, "points", {"top": (0, 0)}, truth=(0, 0))


@pytest.mark.parametrize("place", [(-17.7, -179.9), (88.0, 30.0), (48.9, 2.4)])
def test_a_field_fills_the_ground_above_its_level(place):
    away = -haversine_km(*place, *maps.grid())
    fig, ax = maps.plot_field(away, [-3000, -1500], ["far", "near"], answer=place, truth=(48.9, 2.4), image=PHOTO)
    (bands,) = drawn(ax, QuadContourSet)
    for path, inner, outer in zip(bands.get_paths(), (1500, 0), (3000, 1500), strict=True):
        ring = calibrate.cap_area_km2(outer) - calibrate.cap_area_km2(inner)
        assert areas([path])[0] / 1e6 == pytest.approx(ring, rel=0.02)
    stars, discs = stars_and_discs(ax)
    assert np.allclose(discs[0].get_offsets(), on_map(*place), atol=1) and len(stars) == 1
    assert "far, near" in ground.alt_text(fig) and [t.get_text() for t in fig.legends[0].get_texts()] == ["far", "near"]


def test_fields_that_cannot_be_drawn_are_refused():
    value = np.zeros(maps.grid(10)[0].shape)
    for given, levels, labels in (
        (value.T, [1], ["a"]),
        (value + np.nan, [1], ["a"]),
        (value, [2, 1], ["a", "b"]),
        (value, [1], []),
        (value, [], []),
    ):
        with pytest.raises(ValueError, match="expected"):
            maps.plot_field(given, levels, labels, answer=(0, 0), truth=(0, 0), image=PHOTO)


def test_a_map_without_probabilities_names_places_only(photos):
    lat, lon = photos
    tree = GeocellTree.fit(lat, lon, (4, 40))
    posterior = np.random.default_rng(0).dirichlet(np.ones(tree.n_cells[-1]))
    centers = dict(zip(("lat", "lon"), (centre[:3] for centre in tree.centers(-1)), strict=True))
    for share, shown in ((0.2, True), (np.nan, False)):
        fig, _ = maps.plot_prediction(posterior, tree, top=pd.DataFrame(centers | {"probability": share}))
        words = [plots.alt_text(fig), *(text.get_text() for text in fig.findobj(Text))]
        assert any("%" in word or "probability" in word for word in words) == shown
        assert plots.alt_text(fig).startswith("Map of one prediction; best guesses: 1 ")
