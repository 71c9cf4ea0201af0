"""Draw the README's picture: postcards of the test side, where they stand and where the model places them.

    python tools/readme_figure.py [--out docs/predictions.png]

The pictures are drawn by lot (seeded) from the outdoor scenes of the test side, at most one
in each field of 30 by 40 degrees, not chosen for success.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from geolib.common.files import write_bytes
from geolib.common.settings import Settings
from geolib.datasets import open_dataset
from geolib.plots import ground, pictures
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
    drawn = fields.sample(frac=1, random_state=options.seed).drop_duplicates(["row", "column"]).head(12)
    images = [dataset.image(photo) for photo in drawn.index]
    answers = [model.predict(image) for image in images]
    guesses = np.array([[answer.lat, answer.lon] for answer in answers]).T
    fig, _ = pictures.plot_answers(images, (drawn["lat"], drawn["lon"]), (guesses[0], guesses[1]))
    write_bytes(options.out, ground.png(fig, dpi=110))
    print(f"{options.out}: {ground.alt_text(fig)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
