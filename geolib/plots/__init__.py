"""Figures: maps, charts and pictures, each with a description in words.

What every page needs is here: `plots.show(fig)`, `plots.plot_pictures(...)`, the colours. Maps and charts are in
`geolib.plots.maps` and `geolib.plots.charts`.
"""

from geolib.plots.ground import COLORS, DASHES, INK, PREDICTION, QUIET, TRUTH, alt_text, png, show
from geolib.plots.pictures import plot_answers, plot_pictures, print_credits

__all__ = [
    "COLORS", "DASHES", "INK", "PREDICTION", "QUIET", "TRUTH", "alt_text", "plot_answers", "plot_pictures", "png",
    "print_credits", "show",
]  # fmt: skip
