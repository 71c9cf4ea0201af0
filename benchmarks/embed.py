"""How much of the bare model's speed is left when `embed_photos` reads, decodes, resizes and stores the photos.

    python benchmarks/embed.py [--device cuda] [--seconds 20] [--out embed.json]

The limit is the model's forward pass alone, on input that lies ready on the device, at the same batch size and
precision. Both are timed in turn in one run and compared by their medians, so that a busy machine slows both.
Photos are made here: smooth gradients under noise, which costs the JPEG decoder as much as real detail does.
"""

import argparse
import os
import platform
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from geolib.common import files
from geolib.common.errors import MissingDataError
from geolib.embed import embed_photos
from geolib.encoder import Encoder

TARGET = 0.9
DISTINCT = 256  # files; longer lists repeat them, which is fair: both sides skip the disk


def make_photos(folder: Path, width: int, height: int) -> list[Path]:
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 190, height)[:, None, None] * np.linspace(0.3, 1, width)[None, :, None]
    folder.mkdir()
    for number in range(DISTINCT):
        pixels = ramp * rng.uniform(0.3, 1, 3) + rng.integers(0, 64, (height, width, 3))
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number:04}.jpg", quality=90)
    return sorted(folder.iterdir())


def seconds(action: Callable[[], object], device: str) -> float:
    start = time.perf_counter()
    action()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def compare(encoder: Encoder, files_: list[Path], batch_size: int, budget: float, repeats: int) -> dict[str, float]:
    crops = np.stack([encoder.preprocessing.crop(files_[i % DISTINCT]) for i in range(batch_size)])
    ready = encoder.preprocessing.normalise(torch.from_numpy(crops).to(encoder.device))

    def forward(batches: int) -> None:
        with torch.inference_mode(), encoder.autocast():
            for _ in range(batches):
                encoder.model.encode_image(ready)

    forward(1)
    batches = max(2, round(budget / seconds(lambda: forward(1), encoder.device)))
    paths = [files_[i % DISTINCT] for i in range(batches * batch_size)]
    ids = [str(i) for i in range(len(paths))]
    times: dict[str, list[float]] = {"bare": [], "embed_photos": []}
    for _ in range(repeats):
        times["bare"].append(seconds(lambda: forward(batches), encoder.device))
        with tempfile.TemporaryDirectory() as folder:
            store = Path(folder) / "store"
            run = lambda: embed_photos(encoder, paths, ids, store, batch_size=batch_size)  # noqa: E731, B023
            times["embed_photos"].append(seconds(run, encoder.device))
    speed = {name: len(paths) / statistics.median(values) for name, values in times.items()}
    row = {"photos": len(paths), **speed, "ratio": speed["embed_photos"] / speed["bare"]}
    if encoder.device == "cpu":
        # Decoding takes its time from the same cores: this is what remains when they are shared without any loss.
        crop = seconds(lambda: [encoder.preprocessing.crop(path) for path in files_], "cpu") / DISTINCT
        row["possible"] = 1 / (1 + speed["bare"] * crop / (os.cpu_count() or 1))
    return row


def encoders(device: str, only: str | None) -> Iterator[Encoder]:
    models = [("ViT-B-32", None), ("postcards", None)]
    if device != "cpu" and torch.cuda.is_available():
        models.append(("ViT-L-14", None))
    for name, pretrained in models:
        if only is None or name in only.split(","):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that the weights are random: only the model's shape matters here
                try:
                    yield Encoder.load(name, pretrained, device=device)
                except MissingDataError as error:
                    print(f"{name}: {error}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch-size", type=int, help="default: what embed_photos takes on this device")
    parser.add_argument("--seconds", type=float, default=15, help="length of one timed run")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", help="names of encoders, separated by commas")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        sets = {size: make_photos(Path(folder) / str(size[0]), *size) for size in ((128, 128), (640, 480))}
        for encoder in encoders(options.device, options.only):
            batch_size = options.batch_size or (64 if encoder.device == "cpu" else 256)
            print(f"{encoder.name}: {encoder.reason}; batches of {batch_size}", flush=True)
            for (width, height), paths in sets.items():
                if encoder.image_size > height:
                    continue  # no photo is smaller than what the model looks at
                row = {"encoder": encoder.name, "photo": f"{width}x{height}", "batch_size": batch_size}
                row |= compare(encoder, paths, batch_size, options.seconds, options.repeats)
                rows.append(row)
                print(
                    "  {photo:>8} px, {photos} photos: model alone {bare:.1f}/s, embed_photos {embed_photos:.1f}/s, "
                    "ratio {ratio:.3f}".format(**row)
                    + (f" of {row['possible']:.3f} possible on shared cores" if "possible" in row else "")
                    + f" (target {TARGET})",
                    flush=True,
                )
    if options.out:
        gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
        machine = {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count(), "gpu": gpu}
        versions = {name: version(name) for name in ("torch", "open_clip_torch", "pillow", "numpy")}
        versions["python"] = platform.python_version()
        files.write_json(options.out, {"target": TARGET, "machine": machine, "versions": versions, "rows": rows})


if __name__ == "__main__":
    main()
