"""Build `data/gallery`: coordinates of 100,000 real photographs, from GeoCLIP's public gallery (MIT).

    python data/gallery/build.py [--source coordinates_100K.csv]

Without `--source` the file is downloaded (2 MB) from the commit named here. Its sha256 is checked either way.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd
import pooch
import pyarrow as pa
import pyarrow.parquet as pq

from geolib.common.errors import CorruptFileError
from geolib.common.files import atomic_path, cache_path, sha256_file

COMMIT = "7a1a23b49648a5872a771cfda28490a17ab17d15"
URL = f"https://raw.githubusercontent.com/VicenteVivan/geo-clip/{COMMIT}/geoclip/model/gps_gallery/coordinates_100K.csv"
SHA256 = "3a00b1ba58f13443db726533b6399b39609e292df09d4e58792fa5949d1838b1"


def build(source: Path, out: Path) -> None:
    """Write the gallery's CSV (columns LAT, LON) as parquet: `id`, `lat`, `lon`, rows in the order of the source.

    Coordinates are float64, which keep the six decimals of the source exactly; an id is the row's number in it.
    Raises `CorruptFileError` when the source is not the file that this dataset is made of.
    """
    found = sha256_file(source)
    if found != SHA256:
        raise CorruptFileError(f"{source} has sha256 {found}, expected {SHA256}; fetch it again from {URL}")
    rows = pd.read_csv(source)
    ids = [f"gallery-{row:06d}" for row in range(len(rows))]
    table = pa.table({"id": ids, "lat": rows["LAT"].to_numpy(), "lon": rows["LON"].to_numpy()})
    with atomic_path(out) as temporary:
        pq.write_table(
            table,
            temporary,
            compression="zstd",
            compression_level=19,
            use_dictionary=False,
            column_encoding={"id": "DELTA_BYTE_ARRAY", "lat": "PLAIN", "lon": "PLAIN"},
        )


def main(argv: list[str] | None = None) -> None:
    """Build the parquet beside this script (or `--out`) and print its sha256."""
    parser = argparse.ArgumentParser(description="Build data/gallery/gallery.parquet from its source.")
    parser.add_argument("--source", type=Path, help="coordinates_100K.csv; downloaded when not given")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("gallery.parquet"))
    options = parser.parse_args(argv)
    source = options.source or Path(pooch.retrieve(URL, f"sha256:{SHA256}", path=cache_path("downloads")))
    build(source, options.out)
    print(f"{sha256_file(options.out)}  {options.out.name}")


if __name__ == "__main__":
    main()
