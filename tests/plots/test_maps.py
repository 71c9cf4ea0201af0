"""What the figures hold: the right things, at the right places, drawn without network, pyplot or global settings."""

import base64
import io
import shutil
import time
import urllib.request
import warnings

import matplotlib
import numpy as np
import pandas as pd
import pyproj
import pytest
from cartopy.io import Downloader
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.colors import to_hex
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from PIL import Image

from geolib.cells import GeocellTree
from geolib.common.errors import MissingDataError
from geolib.common.files import data_path
from geolib.judge import calibrate
from geolib.plots import ground, maps, pictures
from geolib.sphere import haversine_km

EQUAL_EARTH = pyproj.Transformer.from_crs("EPSG:4326", "+proj=eqearth +ellps=WGS84", always_xy=True)
PHOTO = np.zeros((30, 40, 3), np.uint8)
TOWNS = [(48.9, 2.4), (40.7, -74.0), (35.7, 139.7), (-36.8, 174.8), (-17.7, -179.9), (64.1, -21.9), (-77.8, 166.7)]


@pytest.fixture(scope="module")
def photos():
    """Photos around towns, some of them beside the dateline and a pole."""
    rng = np.random.default_rng(0)
    towns = np.repeat(TOWNS, 400, axis=0)
    lat = np.clip(towns[:, 0] + rng.normal(0, 2, len(towns)), -90, 90)
    lon = (towns[:, 1] + rng.normal(0, 3, len(towns)) + 180) % 360 - 180
    return lat, lon


@pytest.fixture(scope="module")
def tree(photos):
    return GeocellTree.fit(*photos, cells_per_level=(12, 150), min_photos=5)


@pytest.fixture
def posterior(tree):
    """Most of it near Auckland."""
    km = haversine_km(*tree.centers(-1), -36.8, 174.8)
    weights = np.exp(-km / 200)
    return weights / weights.sum()


def every_figure(tree, photos, posterior):
    lat, lon = photos
    yield maps.plot_photos(lat, lon, seed=3)
    yield maps.plot_photos(lat[:50], lon[:50])
    yield maps.plot_cells(tree, 0)
    yield maps.plot_cells(tree, per="cell")
    yield maps.plot_nesting(tree, (48, 6, 1100))
    yield maps.plot_prediction(posterior, tree, truth=(-17.7, -179.9), image=PHOTO)
    yield maps.plot_prediction(posterior, tree, truth=(-41.3, 174.8), zoom=True)
    yield maps.plot_error_map(lat[::-1], lon[::-1], lat, lon, arcs=5)
    yield maps.plot_error_distribution({"heads": np.geomspace(1, 9000, 99)}, floor=[1.0, 50.0], seed=1)


def drawn(ax, kind, **wanted):
    """The artists of a kind with these properties, such as `zorder=4`."""
    found = [artist for artist in ax.get_children() if isinstance(artist, kind)]
    return [artist for artist in found if all(artist.properties()[name] == value for name, value in wanted.items())]


def stars_and_discs(ax):
    """Positions (n, 2) of everything drawn in the colours of the truth and of the predictions."""
    marks = [c for c in drawn(ax, PathCollection) if len(c.get_offsets()) == 1 and len(c.get_sizes())]
    by_color = {ground.TRUTH["color"]: [], ground.PREDICTION["color"]: []}
    for mark in marks:
        by_color[to_hex(mark.get_facecolor()[0]).upper()].append(mark)
    return by_color.values()


def areas(paths):
    """Signed shoelace area of each closed path, its rings together."""
    result = []
    for path in paths:
        total = 0.0
        for ring in np.split(path.vertices, np.flatnonzero(path.codes == path.MOVETO)[1:]):
            total += np.sum(ring[:-1, 0] * ring[1:, 1] - ring[1:, 0] * ring[:-1, 1]) / 2
        result.append(abs(total))
    return np.array(result)


def test_names_with_dollars_are_no_formulas():
    picture = np.zeros((8, 8, 3), np.uint8)
    fig, _ = pictures.plot_pictures([picture], ["Eve $x_{ $ & Co"])
    assert ground.png(fig).startswith(b"\x89PNG")


def test_every_figure_is_offline_described_and_leaves_no_trace(tree, photos, posterior, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a map asked for a download")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setattr(Downloader, "path", refuse)
    settings = dict(matplotlib.rcParams)
    for cached in (ground._ground, ground._world_paths):
        cached.cache_clear()
    for fig, ax in every_figure(tree, photos, posterior):
        assert isinstance(fig, Figure) and ax in fig.axes
        assert ax.get_title() == "" and fig._suptitle is None
        assert len(ground.alt_text(fig)) > 40
        content = ground.png(fig)
        assert len(content) < 300_000
        width, height = Image.open(io.BytesIO(content)).size
        assert (width, height) == tuple((fig.get_size_inches() * 110).round())
    assert dict(matplotlib.rcParams) == settings
    import matplotlib.pyplot as plt

    assert plt.get_fignums() == []


@pytest.mark.parametrize("lost", ["physical/ne_50m_land.shp", "cultural/ne_50m_admin_0_boundary_lines_land.dbf"])
def test_a_missing_layer_is_an_error_with_the_mend(tmp_path, monkeypatch, lost):
    shutil.copytree(data_path("natural_earth"), tmp_path / "natural_earth")
    (tmp_path / "natural_earth/shapefiles/natural_earth" / lost).unlink()
    monkeypatch.setenv("GEOLIB_DATA", str(tmp_path))
    for cached in (ground._ground, ground._world_paths):
        cached.cache_clear()
    with pytest.raises(MissingDataError, match=r"is missing.*full clone"):
        maps.plot_photos([1.0], [2.0])


# Photos


def test_few_photos_are_dots_where_pyproj_puts_them(photos):
    lat, lon = photos[0][:1999], photos[1][:1999]
    _, ax = maps.plot_photos(lat, lon)
    (dots,) = [c for c in drawn(ax, PathCollection) if len(c.get_offsets()) == 1999]
    np.testing.assert_allclose(dots.get_offsets(), np.column_stack(EQUAL_EARTH.transform(lon, lat)), atol=1)


def test_many_photos_are_counted_in_regular_hexagons_of_the_stated_area(photos):
    lat, lon = photos
    fig, ax = maps.plot_photos(lat, lon, seed=7)
    (hexagons,) = drawn(ax, PolyCollection)
    assert hexagons.get_array().sum() == lat.size
    corners = hexagons.get_paths()[0].vertices[:6]
    sides = np.linalg.norm(np.diff(corners, axis=0, append=corners[:1]), axis=1)
    assert sides.max() / sides.min() < 1.02
    assert areas(closed(hexagons.get_paths()[:1])) / 1e6 == pytest.approx(42_000, rel=0.01)
    texts = " ".join(text.get_text() for text in fig.findobj(matplotlib.text.Text))
    assert "42,000 km²" in texts and "n = 2,800 photos · seed 7" in texts
    assert ax.get_xlim() == pytest.approx((-17_243_959, 17_243_959), abs=1000)  # still the whole world


def closed(paths):
    """The same paths, with codes and without the point that only closes them."""
    for path in paths:
        ring = path.vertices[:6]
        yield matplotlib.path.Path(np.vstack([ring, ring[:1]]), [1] + [2] * 6)


# Cells


@pytest.mark.parametrize("level", [0, 1])
def test_cells_keep_their_areas_on_the_map(tree, level):
    """The strongest check of the drawing: a cell torn at the dateline, or with straight long edges, changes area."""
    _, ax = maps.plot_cells(tree, level)
    (cells,) = drawn(ax, PathCollection, zorder=2)
    on_map, on_earth = areas(cells.get_paths()) / 1e6, tree.areas_km2(level)
    assert len(on_map) == tree.n_cells[level]
    assert on_map.sum() == pytest.approx(510.07e6, rel=1e-3)
    np.testing.assert_allclose(on_map, on_earth, rtol=0.012)  # the map's Earth is flattened, the tree's is a sphere
    xy = np.concatenate([path.vertices for path in cells.get_paths()])
    np.testing.assert_allclose(
        [xy.min(axis=0), xy.max(axis=0)], np.transpose([ax.get_xlim(), ax.get_ylim()]), rtol=1e-3
    )


def test_cells_are_coloured_by_density_or_number(tree):
    for per, expected in {
        "km2": tree.counts(1) / tree.areas_km2(1) * 1000,
        "cell": tree.counts(1),
    }.items():
        fig, ax = maps.plot_cells(tree, 1, per=per)
        (cells,) = drawn(ax, PathCollection, zorder=2)
        np.testing.assert_allclose(cells.get_array(), expected)
        assert isinstance(cells.norm, matplotlib.colors.LogNorm) and cells.norm.vmin < cells.norm.vmax
        caption = [text.get_text() for text in fig.texts]
        assert caption == [f"{tree.n_cells[1]} cells (level 1) · n = 2,800 photos"]


def test_a_tree_of_one_cell_is_the_whole_earth():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one photo fills one cell, and the tree says so
        tree = GeocellTree.fit([1.0], [2.0], cells_per_level=(5,), min_photos=1)
    fig, ax = maps.plot_cells(tree)
    (cells,) = drawn(ax, PathCollection, zorder=2)
    assert areas(cells.get_paths()) / 1e6 == pytest.approx(510.07e6, rel=1e-3)
    assert ground.png(fig)


def test_fifty_thousand_cells_take_seconds():
    rng = np.random.default_rng(0)
    lat, lon = np.degrees(np.arcsin(rng.uniform(-1, 1, 200_000))), rng.uniform(-180, 180, 200_000)
    tree = GeocellTree.fit(lat, lon, cells_per_level=(50_000,), min_photos=1)
    assert tree.n_cells[0] > 30_000
    start = time.perf_counter()
    ground.png(maps.plot_cells(tree)[0])
    assert time.perf_counter() - start < 60  # about 4 seconds on two idle cores


def test_a_close_up_shows_every_level_with_its_number_of_cells(tree):
    fig, ax = maps.plot_nesting(tree, (48, 6, 1100))
    edges = [a for a in drawn(ax, PathCollection) if a.get_edgecolor().size and 2.8 < a.get_zorder() < 2.91]
    assert len(edges) == tree.n_levels - 1
    (finest,) = drawn(ax, PathCollection, zorder=2)
    density = tree.counts(-1) / tree.areas_km2(-1) * 1000
    assert len(finest.get_paths()) < tree.n_cells[-1]  # those in the view alone
    assert np.isin(finest.get_array(), density).all()
    assert [text.get_text() for text in fig.texts] == [f"{n:,} cells" for n in tree.n_cells[::-1]]
    assert " > ".join(f"{n:,}" for n in tree.n_cells) in ground.alt_text(fig)
    with pytest.raises(ValueError, match="a view of 9000 km"):
        maps.plot_nesting(tree, (48, 6, 9000))


def test_cells_that_are_not_there_are_refused(tree):
    with pytest.raises(ValueError, match="level=2"):
        maps.plot_cells(tree, 2)
    with pytest.raises(ValueError, match="per='m2': expected 'km2' or 'cell'"):
        maps.plot_cells(tree, per="m2")


# Predictions


def test_truth_and_guesses_stand_where_they_are(tree, posterior):
    truth = (48.86, 2.35)
    top = pd.DataFrame({"lat": [-36.8, 40.7, 35.7], "lon": [174.8, -74.0, 139.7], "probability": [0.6, 0.3, 0.1]})
    fig, ax = maps.plot_prediction(posterior, tree, truth=truth, top=top)
    (star,), discs = stars_and_discs(ax)
    np.testing.assert_allclose(star.get_offsets()[0], EQUAL_EARTH.transform(truth[1], truth[0]), atol=1)
    expected = np.column_stack(EQUAL_EARTH.transform(top["lon"], top["lat"]))
    np.testing.assert_allclose([disc.get_offsets()[0] for disc in discs], expected, atol=1)
    sizes = [disc.get_sizes()[0] for disc in discs]
    assert sizes == sorted(sizes, reverse=True) and sizes[0] > 1.5 * sizes[2]
    numbers = {text.get_text(): text.get_position() for text in ax.texts if text.get_text().isdigit()}
    np.testing.assert_allclose([numbers[str(rank)] for rank in (1, 2, 3)], expected, atol=1)
    caption = fig.texts[0].get_text()
    assert "1 New Zealand 60 %" in caption and "2 United States 30 %" in caption and "★ truth: France" in caption
    km = haversine_km(*truth, -36.8, 174.8)
    assert f"{km:,.0f} km" in ground.alt_text(fig) and "France" in ground.alt_text(fig)


def test_the_arc_is_the_great_circle_with_its_length(tree, posterior):
    truth = (64.1, -21.9)
    _, ax = maps.plot_prediction(posterior, tree, truth=truth, top=1)
    (star,), (disc,) = stars_and_discs(ax)
    (arc,) = drawn(ax, matplotlib.lines.Line2D)
    xy = np.column_stack(arc.get_data())
    xy = xy[np.isfinite(xy).all(axis=1)]
    np.testing.assert_allclose([xy[0], xy[-1]], [star.get_offsets()[0], disc.get_offsets()[0]], atol=1)
    lon, lat = EQUAL_EARTH.transform(xy[:, 0], xy[:, 1], direction="INVERSE")
    km = haversine_km(lat[0], lon[0], lat[-1], lon[-1])
    assert haversine_km(lat[:-1], lon[:-1], lat[1:], lon[1:]).sum() == pytest.approx(km, rel=1e-3)
    assert f"{km:,.0f} km" in [text.get_text() for text in ax.texts]


def test_an_arc_across_the_dateline_is_broken_at_the_edge(tree, posterior):
    _, ax = maps.plot_prediction(posterior, tree, truth=(21.3, -157.9), top=1)
    (arc,) = drawn(ax, matplotlib.lines.Line2D)
    x = np.asarray(arc.get_xdata(), dtype=float)
    assert np.isnan(x).sum() == 1 and np.nanmax(np.abs(np.diff(x))) < 1e6


@pytest.mark.parametrize(
    "truth", [(36.8, -5.2), (-36.8, 174.8), (90.0, 0.0), (-90.0, 0.0), (0.0, 180.0), (0.0, -180.0)]
)
@pytest.mark.parametrize("zoom", [False, True])
def test_antipodes_poles_dateline_and_exact_hits_are_drawn(tree, posterior, truth, zoom):
    top = pd.DataFrame({"lat": [-36.8], "lon": [174.8], "probability": [1.0]})
    fig, ax = maps.plot_prediction(posterior, tree, truth=truth, top=top, zoom=zoom)
    (star,), (disc,) = stars_and_discs(ax)
    assert np.isfinite(star.get_offsets()).all() and np.isfinite(disc.get_offsets()).all()
    assert ground.png(fig)


def test_a_hidden_guess_is_a_dot_without_a_number(tree, posterior):
    top = pd.DataFrame({"lat": [48.86, 48.87, 0.0], "lon": [2.35, 2.36, 0.0], "probability": [0.5, 0.3, 0.2]})
    fig, ax = maps.plot_prediction(posterior, tree, top=top)
    assert [text.get_text() for text in ax.texts] == ["1", "3"]
    _, discs = stars_and_discs(ax)
    assert [disc.get_sizes()[0] for disc in discs][1] < 60
    assert "2 France 30 %" in fig.texts[0].get_text()  # named all the same


def test_the_posterior_is_shaded_where_it_is(tree, posterior):
    _, ax = maps.plot_prediction(posterior, tree)
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
    ground = [c for c in drawn(ax, PathCollection) if len(c.get_paths()) > 1]
    assert len(ground) >= 4
    for path in (path for collection in ground for path in collection.get_paths() if len(path.vertices)):
        assert np.hypot(*path.vertices.T).max() < 1.1e7


def test_a_posterior_all_over_the_world_is_not_zoomed(tree):
    _, ax = maps.plot_prediction(np.full(tree.n_cells[-1], 1 / tree.n_cells[-1]), tree, zoom=True)
    assert ax.projection == ground._WORLD


@pytest.mark.parametrize(("truth", "corner"), [((48.9, 2.4), "left"), ((-55.0, -90.0), "not lower left")])
def test_the_photo_lies_in_a_corner_away_from_the_marks(tree, posterior, truth, corner):
    fig, ax = maps.plot_prediction(posterior, tree, truth=truth, top=1, image=PHOTO)
    (inset,) = [axes for axes in fig.axes if axes.images]
    box = inset.get_position()
    assert box.x0 < 0.1 if corner == "left" else not (box.x0 < 0.1 and box.y0 < 0.3)
    for group in stars_and_discs(ax):
        for mark in group:
            place = fig.transFigure.inverted().transform(ax.transData.transform(mark.get_offsets()[0]))
            assert not box.contains(*place)


@pytest.mark.parametrize("bad", ["short", "negative", "nan", "zero", "matrix"])
def test_what_is_no_posterior_is_refused(tree, posterior, bad):
    wrong = {
        "short": posterior[1:],
        "negative": posterior - 0.5,
        "nan": np.full_like(posterior, np.nan),
        "zero": np.zeros_like(posterior),
        "matrix": posterior[None],
    }[bad]
    with pytest.raises(ValueError, match=r"posterior.*expected"):
        maps.plot_prediction(wrong, tree)


def test_a_truth_that_is_no_place_is_refused(tree, posterior):
    with pytest.raises(ValueError, match=r"lat\[0\] = 95"):
        maps.plot_prediction(posterior, tree, truth=(95.0, 0.0))


# Errors


def test_errors_are_coloured_at_the_true_places(photos):
    lat, lon = photos[0][:300], photos[1][:300]
    guess_lat, guess_lon = lat[::-1].copy(), lon[::-1].copy()
    guess_lat[0], guess_lon[0] = lat[0], lon[0]  # an error of zero has no logarithm
    fig, ax = maps.plot_error_map(guess_lat, guess_lon, lat, lon)
    (dots,) = drawn(ax, PathCollection, zorder=4)
    x, y = EQUAL_EARTH.transform(lon, lat)
    order = np.lexsort((y, x))
    found = np.lexsort(np.asarray(dots.get_offsets()).T[::-1])
    np.testing.assert_allclose(np.asarray(dots.get_offsets())[found], np.column_stack([x, y])[order], atol=1)
    km = haversine_km(guess_lat, guess_lon, lat, lon)
    np.testing.assert_allclose(dots.get_array()[found], np.maximum(km, 1e-3)[order])
    assert "n = 300 photos" in fig.texts[0].get_text() and "seed" not in fig.texts[0].get_text()
    ticks = [tick.get_text() for tick in fig.axes[-1].get_xticklabels()]
    assert ticks == ["1", "25", "200", "750", "2,500", "20,000"]


def test_arcs_are_a_sample_that_the_seed_repeats(photos):
    lat, lon = photos

    def arcs(seed):
        fig, ax = maps.plot_error_map(lat[::-1], lon[::-1], lat, lon, arcs=20, seed=seed)
        assert f"seed {seed}" in fig.texts[0].get_text()
        return [np.asarray(line.get_xdata()) for line in drawn(ax, matplotlib.lines.Line2D)]

    first, again, other = arcs(1), arcs(1), arcs(2)
    assert len(first) == 20
    assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b, equal_nan=True) for a, b in zip(first, other, strict=True))


def test_predictions_and_places_must_be_as_many():
    with pytest.raises(ValueError, match="2 predictions for 3 true places"):
        maps.plot_error_map([1, 2], [1, 2], [1, 2, 3], [1, 2, 3])


# The error distribution


def test_lines_are_the_shares_within_each_distance():
    rng = np.random.default_rng(0)
    errors = {"heads": 10 ** rng.normal(2.5, 1, 500), "nearest neighbour": np.append(10 ** rng.normal(3, 1, 499), 0.0)}
    fig, ax = maps.plot_error_distribution(errors, floor=10 ** rng.normal(1.5, 0.3, 200), seed=4)
    lines = {str(line.get_label()).split("\n")[0]: line for line in ax.get_lines()}
    assert list(lines) == ["heads", "nearest neighbour", "perfect cells"]
    for name, km in errors.items():
        x, y = lines[name].get_data()
        for threshold in (1, 25, 200, 750, 2500):
            drawn_share = y[np.searchsorted(x, threshold, side="right") - 1]  # steps go on until the next point
            assert drawn_share == pytest.approx(np.mean(np.asarray(km) <= threshold) * 100)
    assert ax.get_xscale() == "log"
    styles = {(line.get_color(), str(line.get_linestyle()), line._unscaled_dash_pattern) for line in ax.get_lines()}
    assert len(styles) == 3
    assert fig.texts[0].get_text() == "n = 500 / 200 photos · seed 4"


def test_thresholds_are_marked_and_named():
    _, ax = maps.plot_error_distribution({"heads": [3.0, 300.0]})
    np.testing.assert_array_equal(ax.get_xticks(), [1, 25, 200, 750, 2500])
    names = {text.get_text(): text.get_position()[0] for text in ax.texts}
    expected = {"street": 1, "city": 25, "region": 200, "country": 750, "continent": 2500}
    assert expected.items() <= names.items()


@pytest.mark.parametrize("seed", range(3))
def test_labels_do_not_overlap(seed):
    rng = np.random.default_rng(seed)
    errors = {f"system {i}": np.minimum(10 ** rng.normal(2.2 + 0.2 * i, 1, 1000), 20_000) for i in range(5)}
    fig, ax = maps.plot_error_distribution(errors)
    fig.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.texts]
    assert len(boxes) == 10  # five names of thresholds, five of systems
    assert sum(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i]) == 0
    for text, box in zip(ax.texts[5:], boxes[5:], strict=True):
        assert ax.bbox.x0 <= box.x0 and box.x1 <= ax.bbox.x1 and ax.bbox.y0 <= box.y0 and box.y1 <= ax.bbox.y1, text


@pytest.mark.parametrize("errors", [{}, {str(i): [1.0] for i in range(6)}])
def test_no_system_and_too_many_are_refused(errors):
    with pytest.raises(ValueError, match="systems: expected 1 to 5"):
        maps.plot_error_distribution(errors)


@pytest.mark.parametrize("km", [[], [-1.0], [np.nan, 1.0], [np.inf]])
def test_what_is_no_error_is_refused(km):
    with pytest.raises(ValueError, match=r"'heads'.*finite and not negative"):
        maps.plot_error_distribution({"heads": km})


# Pictures


def test_the_palette_keeps_the_colours_of_truth_and_prediction(tree, posterior):
    fig, _ = maps.plot_prediction(posterior, tree, truth=(48.86, 2.35))
    picture = Image.open(io.BytesIO(ground.png(fig)))
    assert picture.mode == "P"
    colors = {color for _, color in picture.convert("RGB").getcolors(1000)}
    assert picture.convert("RGB").getpixel((2, 2)) == (255, 255, 255)
    for style in (ground.TRUTH, ground.PREDICTION):
        assert tuple(int(style["color"][i : i + 2], 16) for i in (1, 3, 5)) in colors


def test_a_photo_in_the_figure_keeps_all_its_colours(tree, posterior):
    fig, _ = maps.plot_prediction(posterior, tree, image=PHOTO)
    assert Image.open(io.BytesIO(ground.png(fig))).mode == "RGB"


def test_show_gives_the_notebook_a_picture_with_its_description(photos, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    fig, _ = maps.plot_photos(*photos)
    ground.show(fig)
    data, metadata = shown[0]._repr_mimebundle_()
    assert Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).size == (1210, 671)
    assert metadata["image/png"]["alt"] == ground.alt_text(fig) == "World map of where 2,800 photographs were taken."


# --- several pictures -----------------------------------------------------------------------------


def test_pictures_stand_in_rows_with_their_titles():
    fig, axes = pictures.plot_pictures([PHOTO] * 5, list("abcde"), columns=3)
    assert axes.shape == (2, 3)
    assert [ax.texts[0].get_text() for ax in axes.flat if ax.texts] == list("abcde")
    assert "a; b; c; d; e" in ground.alt_text(fig)
    for images, titles in (([], []), ([PHOTO], ["a", "b"])):
        with pytest.raises(ValueError, match="expected at least one"):
            pictures.plot_pictures(images, titles)


def test_a_palette_keeps_drawings_small_and_is_not_forced_on_photographs():
    fig, _ = pictures.plot_pictures([PHOTO])
    full, small = (Image.open(io.BytesIO(ground.png(fig, 40, palette=palette))) for palette in (False, True))
    assert (full.mode, small.mode) == ("RGB", "P")
    assert full.size == small.size


def test_titles_of_two_lines_have_room_below_their_pictures():
    fig, axes = pictures.plot_pictures([PHOTO] * 4, ["Lyon\n120 km", "Nice\n8 km"] * 2, columns=2)
    fig.canvas.draw()
    for upper, lower in zip(*axes, strict=True):
        assert upper.texts[0].get_window_extent().y0 > lower.get_window_extent().y1
        assert lower.texts[0].get_window_extent().y0 > 0
    assert "Lyon, 120 km; Nice, 8 km" in ground.alt_text(fig)


def test_answers_mark_each_truth_and_guess_with_the_distance_below_the_picture():
    true = (np.array([48.9, 40.7, -36.8, -17.7]), np.array([2.4, -74.0, 174.8, -179.9]))
    guess = (true[0] + 1, true[1])
    fig, ax = pictures.plot_answers([PHOTO] * 4, true, guess)
    discs, stars = (c.get_offsets() for c in ax.collections[-2:])
    for drawn, (lat, lon) in ((stars, true), (discs, guess)):
        x, y = EQUAL_EARTH.transform(lon, lat)
        assert np.allclose(drawn, np.column_stack([x, y]), atol=100)
    below = sorted(axes.texts[0].get_text() for axes in fig.axes if axes.images)
    assert below == ["111 km off"] * 4
    assert "median error is 111 km" in ground.alt_text(fig)
    with pytest.raises(ValueError, match="expected as many, even"):
        pictures.plot_answers([PHOTO] * 3, (true[0][:3], true[1][:3]), (guess[0][:3], guess[1][:3]))


def test_posteriors_side_by_side_mark_truth_and_best_cell_in_one_scale(tree, posterior):
    coarse = np.bincount(tree.ancestors[:, 0], weights=posterior)
    fig, axes = maps.plot_posteriors(
        {"coarse": coarse, "fine": posterior}, tree, truth=(-36.8, 174.8), kept={"coarse": [0, 1]}
    )
    assert len(axes) == 2 and ground.alt_text(fig).startswith("2 maps of one photo. coarse: likeliest cell")
    shades = [drawn(ax, PathCollection, zorder=2)[0] for ax in axes]
    assert shades[0].norm.vmax == shades[1].norm.vmax == coarse.max()
    for ax, level, p in zip(axes, (0, 1), (coarse, posterior), strict=True):
        stars, discs = stars_and_discs(ax)
        lat, lon = (centre[p.argmax()] for centre in tree.centers(level))
        assert np.allclose(stars[0].get_offsets()[0], EQUAL_EARTH.transform(174.8, -36.8), atol=1)
        assert np.allclose(discs[0].get_offsets()[0], EQUAL_EARTH.transform(lon, lat), atol=1)
    assert len(drawn(axes[0], PathCollection, zorder=3)[0].get_paths()) == 2
    assert not drawn(axes[1], PathCollection, zorder=3)
    close, _ = maps.plot_posteriors({"near": posterior}, tree, view=(-36.8, 174.8, 900))
    assert len(ground.png(close)) < 300_000


def test_posteriors_of_no_level_are_refused(tree):
    for given in ({}, {"odd": np.ones(7)}, {"none": np.zeros(tree.n_cells[-1])}):
        with pytest.raises(ValueError, match="expected probabilities over one of"):
            maps.plot_posteriors(given, tree)


def test_named_answers_stand_where_they_are_and_share_a_disc_where_they_would_hide_each_other(tree, posterior):
    places = {"argmax": (-36.8, 174.8), "mode": (-36.9, 174.9), "mean": (48.9, 2.4)}
    fig, ax = maps.plot_decoded(posterior, tree, places, truth=(-17.7, -179.9))
    (discs,) = drawn(ax, PathCollection, zorder=5)
    assert np.allclose(discs.get_offsets(), [EQUAL_EARTH.transform(174.8, -36.8), EQUAL_EARTH.transform(2.4, 48.9)])
    assert [note.get_text() for note in ax.texts] == ["argmax · mode", "mean"]
    boxes = [note.get_window_extent() for note in ax.texts]
    assert all(ax.bbox.x0 <= box.x0 and box.x1 <= ax.bbox.x1 for box in boxes), "a label runs off the map"
    assert "argmax · mode at -37, 175" in ground.alt_text(fig) and "the truth at -18, -180" in ground.alt_text(fig)
    for bad in (posterior[1:], -posterior, posterior * np.nan):
        with pytest.raises(ValueError, match="one row of `fuse`"):
            maps.plot_decoded(bad, tree, places)
    with pytest.raises(ValueError, match="no place to mark"):
        maps.plot_decoded(posterior, tree, {})


def test_a_landscape_is_shaded_where_its_numbers_are():
    values = np.zeros((19, 37))
    values[9 + 3, 18 + 5] = 7  # 30 north, 50 east
    fig, ax = maps.plot_landscape(values, "points", {"top": (30, 50)}, truth=(0, -180))
    (shades,) = drawn(ax, QuadContourSet)
    bands = [path for path in shades.get_paths() if len(path.vertices)]
    assert bands[-1].contains_point(EQUAL_EARTH.transform(50, 30)), "the top is where the largest number stands"
    assert np.abs(bands[-1].vertices - EQUAL_EARTH.transform(50, 30)).max() < 300_000
    edge = EQUAL_EARTH.transform(179.99, 0)[0]
    assert bands[0].vertices[:, 0].max() >= edge and bands[0].vertices[:, 0].min() <= -edge, "shaded from edge to edge"
    assert "points, highest near 30, 50, with top at 30, 50" in ground.alt_text(fig)
    for bad in (np.zeros(5), np.zeros((1, 5)), np.full((3, 3), np.nan)):
        with pytest.raises(ValueError, match="expected finite numbers"):
            maps.plot_landscape(bad, "points", {"top": (0, 0)})


def test_partitions_side_by_side_share_one_scale(tree, photos):
    grid = GeocellTree.uniform(*photos, (150,))
    fig, axes = maps.plot_partitions({"quadtree": tree, "grid": grid}, (48, 6, 1100))
    first, second = (drawn(ax, PathCollection, zorder=2)[0] for ax in axes)
    assert first.norm.vmin == second.norm.vmin and first.norm.vmax == second.norm.vmax
    assert len(first.get_paths()) and len(second.get_paths())
    assert f"quadtree: {tree.n_cells[-1]} cells; grid: {grid.n_cells[-1]} cells" in ground.alt_text(fig)
    with pytest.raises(ValueError, match="expected one"):
        maps.plot_partitions({}, (48, 6, 1100))
    with pytest.raises(ValueError, match="a view of 9000 km"):
        maps.plot_partitions({"grid": grid}, (48, 6, 9000))


def test_regions_are_as_large_on_the_map_as_on_the_ground(tree, posterior):
    likely = posterior > 1e-4
    fig, axes = maps.plot_regions({"likely": likely, "none": np.zeros_like(likely)}, tree, truth={"likely": TOWNS[3]})
    (stars, discs), (no_stars, _) = stars_and_discs(axes[0]), stars_and_discs(axes[1])
    assert np.allclose(stars[0].get_offsets()[0], EQUAL_EARTH.transform(174.8, -36.8), atol=1)
    assert not discs and not no_stars
    (region,) = (drawn(ax, PathCollection, zorder=2)[0] for ax in axes[:1])
    on_the_ground = tree.areas_km2(-1)[likely].sum()
    assert np.abs(areas(region.get_paths())).sum() / 1e6 == pytest.approx(on_the_ground, rel=0.02)
    assert f"likely: {likely.sum():,} of {likely.size:,} cells" in ground.alt_text(fig)
    for given in ({}, {"short": likely[:-1]}, {"shares": posterior}):
        with pytest.raises(ValueError, match="expected bool"):
            maps.plot_regions(given, tree)


@pytest.mark.parametrize("place", [(-17.7, -179.9), (88.0, 30.0), (48.9, 2.4)])
def test_a_field_fills_the_ground_above_its_level(place):
    away = -haversine_km(*place, *maps.grid())
    fig, ax = maps.plot_field(away, [-3000, -1500], ["far", "near"], answer=place, truth=(48.9, 2.4), image=PHOTO)
    (bands,) = drawn(ax, QuadContourSet)
    for path, inner, outer in zip(bands.get_paths(), (1500, 0), (3000, 1500), strict=True):
        ring = calibrate.cap_area_km2(outer) - calibrate.cap_area_km2(inner)
        assert abs(areas([path])[0]) / 1e6 == pytest.approx(ring, rel=0.02)
    stars, discs = stars_and_discs(ax)
    assert np.allclose(discs[0].get_offsets()[0], EQUAL_EARTH.transform(*place[::-1]), atol=1) and len(stars) == 1
    assert "far, near" in ground.alt_text(fig) and [t.get_text() for t in fig.legends[0].get_texts()] == ["far", "near"]
    assert ground.png(fig).startswith(b"\x89PNG")


def test_fields_that_cannot_be_drawn_are_refused():
    value = np.zeros(maps.grid()[0].shape)
    for given, levels, labels in (
        (value.T, [1], ["a"]),
        (value + np.nan, [1], ["a"]),
        (value, [2, 1], ["a", "b"]),
        (value, [1], []),
        (value, [], []),
    ):
        with pytest.raises(ValueError, match="expected"):
            maps.plot_field(given, levels, labels, answer=(0, 0))
