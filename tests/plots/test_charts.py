"""Figures without a map: what they draw, what they say for those who cannot see them, and what they refuse."""

import numpy as np
import pandas as pd
import pytest

from geolib.judge import calibrate
from geolib.judge.ablate import WORDS
from geolib.plots import charts, ground


def table(names=("one", "two"), shift=0.0):
    value = np.linspace(0.2, 0.4, len(names)) + shift
    columns = {"within_750_km": value, "within_750_km_low": value - 0.05, "within_750_km_high": value + 0.1}
    return pd.DataFrame(columns, index=pd.Index(names, name="method"))


def test_a_dot_and_an_interval_for_each_method_and_series():
    fig, (ax,) = charts.plot_intervals({"a": table(), "b": table(shift=0.1)}, {"within_750_km": "within 750 km"})
    assert [label.get_text() for label in ax.get_yticklabels()] == ["one", "two"]
    dots = [line.get_xdata() for line in ax.get_lines()]
    np.testing.assert_allclose(dots, [[20, 40], [30, 50]])
    ends = np.concatenate([segments.get_segments() for segments in ax.collections])[:, :, 0]
    np.testing.assert_allclose(ends, [[15, 30], [35, 50], [25, 40], [45, 60]])
    assert "a, one, within 750 km: 20 % (15 % to 30 %)" in ground.alt_text(fig)
    assert len({line.get_color() for line in ax.get_lines()}) == 2


def test_one_table_needs_no_legend_and_differences_have_a_line_at_zero():
    fig, (ax,) = charts.plot_intervals(table(shift=-0.3), {"within_750_km": "gain"}, unit="points", zero=True)
    assert not fig.legends
    assert [0, 0] in [list(line.get_xdata()) for line in ax.get_lines()]
    assert "one, gain: -10 (-15 to +0)" in ground.alt_text(fig)


def differences(names=("one", "two", "three", "far")):
    rows = [(40, 10, 70, "more"), (-40, -70, -10, "less"), (np.nan, np.nan, np.nan, "same by construction")]
    rows.append((900, 800, 1000, "more"))
    return pd.DataFrame(rows[: len(names)], names, ["gain", "low", "high", "verdict"])


def test_a_verdict_has_its_colour_and_what_is_far_off_an_arrow_with_its_number():
    fig, (ax, _) = charts.plot_verdicts({"test": differences(), "test_balanced": differences()})
    shown = {line.get_ydata()[0]: line for line in ax.get_lines() if len(line.get_ydata()) == 1}
    assert [shown[y].get_xdata()[0] for y in range(3)] == [40, -40, 0]
    colors = [shown[y].get_color() for y in range(4)]
    assert len(set(colors[:3])) == 3 and colors[3] == colors[0]
    assert shown[3].get_marker() == ">" and "+900" in [text.get_text() for text in ax.texts]
    assert shown[3].get_xdata()[0] == ax.get_xlim()[1] < 900
    ends = np.concatenate([segments.get_segments() for segments in ax.collections])[:, :, 0]
    np.testing.assert_allclose(ends[:2], [[10, 70], [-70, -10]])
    words = ground.alt_text(fig)
    assert "one more, +40 (+10 to +70); two less, -40 (-70 to -10); three same by construction;" in words
    assert [text.get_text() for text in fig.legends[0].get_texts()] == list(WORDS)


def test_the_interval_of_a_verdict_is_never_cut_at_the_edge():
    rows = [(1, -1, 3, "undecided"), (2, 1, 3, "more"), (-1, -2, 0, "undecided"), (8, 2, 60, "more")]
    table = pd.DataFrame(rows, list("abcd"), ["gain", "low", "high", "verdict"])
    _, (ax,) = charts.plot_verdicts({"test": table})
    ends = np.concatenate([segments.get_segments() for segments in ax.collections])[:, :, 0]
    np.testing.assert_allclose(ends, table[["low", "high"]])
    assert ax.get_xlim()[1] > table["high"].max()


@pytest.mark.parametrize("panels", [{}, {"a": differences(())}, {"a": differences(), "b": differences(("one",))}])
def test_verdicts_that_cannot_be_drawn_are_refused(panels):
    with pytest.raises(ValueError, match="expected the same rows"):
        charts.plot_verdicts(panels)


@pytest.mark.parametrize(
    ("tables", "metrics", "unit"),
    [
        ({}, {"within_750_km": "x"}, "%"),
        (table(), {}, "%"),
        (table(), {"within_750_km": "x"}, "miles"),
        (table(()), {"within_750_km": "x"}, "%"),
        ({"a": table(), "b": table(("two", "one"))}, {"within_750_km": "x"}, "%"),
        ({str(n): table() for n in range(9)}, {"within_750_km": "x"}, "%"),
    ],
)
def test_intervals_that_cannot_be_drawn_are_refused(tables, metrics, unit):
    with pytest.raises(ValueError, match="expected"):
        charts.plot_intervals(tables, metrics, unit=unit)


def test_lines_bands_and_the_marked_point():
    x = np.array([1, 10, 100])
    lines = {"up": (x, x - 1, x + 1), "down": -x}
    fig, ax = charts.plot_lines(x, lines, xlabel="cells", ylabel="km", log_x=True, mark={"down": 10}, caption="n = 3")
    assert ax.get_xscale() == "log"
    assert len(ax.collections) == 1
    assert ax.get_lines()[-1].get_xydata().tolist() == [[10, -10]]
    assert ground.alt_text(fig) == "km over cells. up: from 1 to 100. down: from -1 to -100."
    with pytest.raises(ValueError, match="2 values for 3 of x"):
        charts.plot_lines(x, {"short": [1, 2]}, xlabel="", ylabel="")
    with pytest.raises(ValueError, match="0 series"):
        charts.plot_lines(x, {}, xlabel="", ylabel="")


def test_points_in_a_plane():
    fig, ax = charts.plot_plane(np.eye(2), [10, 50], label="latitude")
    np.testing.assert_allclose(ax.collections[0].get_offsets(), np.eye(2))
    assert ground.alt_text(fig) == "2 points in a plane, coloured by latitude."
    with pytest.raises(ValueError, match=r"expected \(n, 2\)"):
        charts.plot_plane(np.eye(3), [1, 2, 3], label="latitude")


def test_groups_in_a_plane_keep_their_order_and_are_counted():
    groups = pd.Categorical(["dry", "wet", "dry"], categories=["wet", "dry"])
    fig, ax = charts.plot_groups([[0, 0], [1, 1], [2, 0]], groups)
    assert [part.get_label() for part in ax.collections] == ["wet", "dry"]
    np.testing.assert_allclose(ax.collections[1].get_offsets(), [[0, 0], [2, 0]])
    assert "wet 1, dry 2" in ground.alt_text(fig)
    assert [part.get_label() for part in charts.plot_groups(np.eye(2), ["b", "a"])[1].collections] == ["a", "b"]
    for points, names in ((np.eye(3), list("abc")), (np.eye(2), ["a"])):
        with pytest.raises(ValueError, match=r"expected \(n, 2\)"):
            charts.plot_groups(points, names)
    with pytest.raises(ValueError, match="6 groups: expected 1 to 5"):
        charts.plot_groups(np.zeros((6, 2)), list("abcdef"))


def test_similarities_write_each_cosine_and_tell_the_diagonal():
    picture = np.zeros((4, 4, 3), np.uint8)
    fig, ax = charts.plot_similarities([[0.9, 0.1, 0], [0.2, 0.8, 0]], [picture] * 3, ["a long text " * 5, "b"])
    assert [text.get_text() for text in ax.texts] == ["0.90", "0.10", "0.00", "0.20", "0.80", "0.00"]
    assert len(ax.child_axes) == 3
    assert "\n" in ax.get_yticklabels()[0].get_text()
    assert "from 0.00 to 0.90" in ground.alt_text(fig) and "same number: 0.90, 0.80." in ground.alt_text(fig)
    with pytest.raises(ValueError, match="expected as many"):
        charts.plot_similarities(np.eye(2), [picture] * 3, ["a", "b"])


def test_learning_curves_mark_the_epoch_that_was_kept():
    columns = {f"{side}_loss_{level}": [3.0, 2.0, 2.5] for side in ("train", "calibration") for level in range(2)}
    history = pd.DataFrame({"epoch": [1, 2, 3]} | columns)
    history.attrs["best_epoch"] = [2, 3]
    fig, made = charts.plot_history(history, ["continent", "country"])
    kept = [ax.get_lines()[-1].get_xydata().ravel().tolist() for ax in made]
    assert kept == [[2, 2.0], [3, 2.5]]
    assert "continent keeps epoch 2, country keeps epoch 3" in ground.alt_text(fig)


def test_a_reliability_diagram_has_the_bins_and_the_line_of_honesty():
    p = np.repeat([0.2, 0.6], 50)
    bins = calibrate.reliability(p, np.arange(100) % 2 == 0, np.arange(100) // 4, bins=2)
    fig, axes = charts.plot_reliability({"coarse": {"before": bins, "after": bins}, "fine": {"before": bins}})
    assert [len(ax.get_lines()) for ax in axes] == [3, 2] and len(fig.legends) == 1
    honest, before = axes[0].get_lines()[:2]
    assert np.array_equal(honest.get_xdata(), honest.get_ydata())
    np.testing.assert_allclose(before.get_xydata(), [[0.2, 0.5], [0.6, 0.5]])
    ends = axes[1].collections[0].get_segments()
    np.testing.assert_allclose([end[:, 1] for end in ends], bins[["share_low", "share_high"]])
    assert "coarse, after: given 40.0 % on average, right 50.0 %" in ground.alt_text(fig)
    assert not charts.plot_reliability({"one": {"series": bins}})[0].legends
    for panels in ({}, {"empty": {}}, {"many": dict.fromkeys("abcdef", bins)}):
        with pytest.raises(ValueError, match="expected 1 to 5"):
            charts.plot_reliability(panels)


def test_the_caption_of_reliability_diagrams_keeps_clear_of_the_labels():
    bins = calibrate.reliability(np.repeat([0.2, 0.6], 50), np.arange(100) % 2 == 0, np.arange(100) // 4, bins=2)
    fig, axes = charts.plot_reliability({name: {"before": bins} for name in "abcd"}, caption="test; in groups")
    fig.canvas.draw()
    caption = next(text for text in fig.texts if text.get_text() == "test; in groups")
    gap = min(ax.get_tightbbox().y0 for ax in axes) - caption.get_window_extent().y1
    assert gap > 0.18 * fig.dpi  # inches, more than half a line of text


def test_every_figure_becomes_a_picture():
    assert ground.png(charts.plot_intervals(table(), {"within_750_km": "x"})[0], 30).startswith(b"\x89PNG")


# Importance


def panel(size=8):
    rng = np.random.default_rng(0)
    region = np.zeros((size, size), bool)
    region[2:4, 3:6] = True
    return {
        "picture": rng.integers(0, 256, (size, size, 3), dtype=np.uint8),
        "region": region,
        "map": rng.normal(size=(size, size)),
    }


def draw_importance(rows):
    return charts.plot_importance(rows, caption="seed 0", described="They differ.")


def test_maps_lie_over_their_pictures_and_the_figure_says_whose():
    fig, axes = draw_importance({"Peru: road": panel(), "Japan: signs": panel()})
    assert axes.shape == (2, 3)
    assert [ax.get_title() for ax in axes[0]] == ["picture", "region", "map"]
    assert [line[0].get_ylabel() for line in axes] == ["Peru: road", "Japan: signs"]
    said = ground.alt_text(fig)
    assert "2 pictures" in said and "Peru: road, Japan: signs" in said and said.endswith("They differ.")
    shown = axes[0, 2].images[-1]
    assert shown.get_clim() == (-1, 1) and np.abs(shown.get_array()).max() == 1, "each map is scaled to its largest"
    assert np.array_equal(axes[0, 1].images[-1].get_alpha() > 0, panel()["region"]), "only the region is coloured"
    assert ground.png(fig, 30).startswith(b"\x89PNG")


def test_a_map_of_nothing_is_drawn_as_nothing():
    fig, axes = draw_importance({"x": panel() | {"map": np.zeros((8, 8))}})
    assert np.asarray(axes[0, 2].images[-1].get_alpha()).max() == 0
    assert ground.png(fig, 30)


def test_importance_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="0 rows: expected at least one"):
        draw_importance({})
    with pytest.raises(ValueError, match="the same columns in each"):
        draw_importance({"a": panel(), "b": {"picture": panel()["picture"]}})
    with pytest.raises(ValueError, match=r"a, map is \(4, 8\): expected the picture's \(8, 8\)"):
        draw_importance({"a": panel() | {"map": np.zeros((4, 8))}})


# The error distribution


def test_lines_are_the_shares_within_each_distance():
    rng = np.random.default_rng(0)
    errors = {"heads": 10 ** rng.normal(2.5, 1, 500), "nearest neighbour": np.append(10 ** rng.normal(3, 1, 499), 0.0)}
    fig, ax = charts.plot_error_distribution(errors, floor=10 ** rng.normal(1.5, 0.3, 200), seed=4)
    lines = {str(line.get_label()).split(":")[0]: line for line in ax.get_lines()}
    assert list(lines) == ["heads", "nearest neighbour", "perfect cells"]
    for name, km in errors.items():
        x, y = lines[name].get_data()
        for threshold in (1, 25, 200, 750, 2500):
            drawn_share = y[np.searchsorted(x, threshold, side="right") - 1]  # steps go on until the next point
            assert drawn_share == pytest.approx(np.mean(np.asarray(km) <= threshold) * 100)
    assert ax.get_xscale() == "log"
    styles = {(line.get_color(), str(line.get_linestyle()), line._unscaled_dash_pattern) for line in ax.get_lines()}
    assert len(styles) == 3
    assert fig.get_supxlabel() == "n = 500 / 200 photos · seed 4"


def test_the_error_distribution_calls_what_was_counted_by_its_noun():
    fig, ax = charts.plot_error_distribution({"heads": [3.0, 40.0]}, floor=[1.0], seed=0, noun="postcards")
    assert ax.get_ylabel() == "postcards within this distance (%)" and "postcards" in fig.get_supxlabel()
    assert "photo" not in fig.get_label() + fig.get_supxlabel()


def test_thresholds_are_named_and_the_legend_stays_in_the_axes():
    rng = np.random.default_rng(0)
    systems = {f"system {i}": np.minimum(10 ** rng.normal(2.2 + 0.2 * i, 1, 300), 20_000) for i in range(5)}
    fig, ax = charts.plot_error_distribution(systems, floor=[1.0], seed=0)
    np.testing.assert_array_equal(ax.get_xticks(), [1, 25, 200, 750, 2500])
    names = {text.get_text(): text.get_position()[0] for text in ax.texts}
    assert names == {"street": 1, "city": 25, "region": 200, "country": 750, "continent": 2500}
    told = ax.get_legend().get_texts()
    assert [text.get_text().split(":")[0] for text in told] == [*systems, "perfect cells"]
    assert [text.get_color() for text in told[:-1]] == list(ground.COLORS)
    fig.canvas.draw()
    box, top = ax.get_legend().get_window_extent(), max(text.get_window_extent().y1 for text in ax.texts)
    assert ax.bbox.x0 <= box.x0 and box.x1 <= ax.bbox.x1 and ax.bbox.y0 <= box.y0 and box.y1 <= ax.bbox.y1
    assert top <= fig.bbox.y1


@pytest.mark.parametrize("errors", [{}, {str(i): [1.0] for i in range(6)}])
def test_no_system_and_too_many_are_refused(errors):
    with pytest.raises(ValueError, match="systems: expected 1 to 5"):
        charts.plot_error_distribution(errors, floor=[1.0], seed=0)


@pytest.mark.parametrize("km", [[], [-1.0], [np.nan, 1.0], [np.inf]])
def test_errors_that_are_no_distances_are_refused(km):
    with pytest.raises(ValueError, match=r"'heads'.*finite and not negative"):
        charts.plot_error_distribution({"heads": km}, floor=[1.0], seed=0)


def test_bits_are_told_to_the_hundredth():
    small = pd.DataFrame({"x": [0.031, -0.001], "x_low": [-0.012, -0.2], "x_high": [0.08, 0.1]}, index=["one", "two"])
    fig, _ = charts.plot_intervals(small, {"x": "lost"}, unit="bits")
    assert "one, lost: 0.03 (-0.01 to 0.08); two, lost: 0 (-0.2 to 0.1)" in ground.alt_text(fig)
