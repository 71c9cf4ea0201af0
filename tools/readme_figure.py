"""Draw the picture of the README: postcards of the test side, their true places, and the model's predictions.

    python tools/readme_figure.py [--out docs/predictions.png]

The postcards are a random sample (seeded) of the outdoor scenes on the test side, at most one per field of 30 by 40
degrees. They are not chosen for success.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from geolib import plots
from geolib.common.files import write_bytes
from geolib.common.settings import Settings
from geolib.datasets import open_dataset
from geolib.predict import default_model


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw and write the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/predictions.png"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    dataset = open_dataset("postcards")
    model = default_model(Settings(dataset="postcards", encoder="postcards"))
    photos = dataset.photos
    outdoors = photos[(photos["split"] == "test") & ~photos["scene"].isin(["interior", "closeup", "night"])]
    fields = outdoors.assign(row=outdoors["lat"] // 30, column=outdoors["lon"] // 40)
    sample = fields.sample(frac=1, random_state=options.seed).drop_duplicates(["row", "column"]).head(12)
    images = [dataset.image(photo) for photo in sample.index]
    predictions = [model.predict(image) for image in images]
    guesses = ([found.lat for found in predictions], [found.lon for found in predictions])
    fig, _ = plots.plot_answers(images, (sample["lat"], sample["lon"]), guesses)
    write_bytes(options.out, plots.png(fig, dpi=110))
    print(f"{options.out}: {plots.alt_text(fig)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
