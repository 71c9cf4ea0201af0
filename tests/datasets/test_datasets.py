"""Tables, files, splits and credits of every dataset, on hostile input too."""

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import ExifTags, Image

from geolib.common.errors import CorruptFileError, ImageError, MissingDataError
from geolib.common.files import data_path
from geolib.datasets import Dataset, folder, open_dataset
from geolib.datasets.splits import describe_split, nearest_training_km
from geolib.images import load_rgb

ROOT = Path(__file__).resolve().parents[2]


def write_photo(path, lat=None, lon=None, artist=None, ref=("N", "E"), copyright=None, owner=None, size=(16, 12)):
    """A small JPEG, with GPS in its EXIF when a place is given as degrees, minutes and seconds."""
    exif = Image.Exif()
    if artist:
        exif[ExifTags.Base.Artist] = artist.encode()  # Pillow writes text as ASCII, and bytes as they are
    if copyright:
        exif[ExifTags.Base.Copyright] = copyright.encode()
    if owner:
        exif[ExifTags.IFD.Exif] = {0xA430: owner}
    if lat is not None:
        exif[ExifTags.IFD.GPSInfo] = {
            ExifTags.GPS.GPSLatitudeRef: ref[0],
            ExifTags.GPS.GPSLatitude: lat,
            ExifTags.GPS.GPSLongitudeRef: ref[1],
            ExifTags.GPS.GPSLongitude: lon,
        }
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (200, 120, 40)).save(path, exif=exif)
    return path


def at(lat, lon=0):
    """Whole degrees as EXIF has them."""
    return {
        "lat": (float(abs(lat)), 0.0, 0.0),
        "lon": (float(abs(lon)), 0.0, 0.0),
        "ref": ("NS"[lat < 0], "EW"[lon < 0]),
    }


# The gallery


def test_the_gallery_is_its_source_byte_for_byte():
    photos = open_dataset("gallery").photos
    pairs = zip(photos["lat"].tolist(), photos["lon"].tolist(), strict=True)
    text = "LAT,LON\n" + "".join(f"{lat!r},{lon!r}\n" for lat, lon in pairs)
    readme = data_path("gallery", "README.md").read_text()
    assert f"sha256 of the source | `{hashlib.sha256(text.encode()).hexdigest()}`" in readme


def test_the_gallery_readme_names_the_file_that_ships():
    file = data_path("gallery", "gallery.parquet")
    readme = data_path("gallery", "README.md").read_text()
    assert f"sha256 of `gallery.parquet` | `{hashlib.sha256(file.read_bytes()).hexdigest()}`" in readme


def test_the_gallery_holds_coordinates_only():
    gallery = open_dataset("gallery")
    assert gallery.noun == "photos" and open_dataset("postcards").noun == "postcards"
    assert len(gallery) == 100_000
    assert gallery.photos.index.is_unique
    with pytest.raises(MissingDataError, match="coordinates only"):
        gallery.image("gallery-000007")


# Opening


def test_the_default_is_read_from_the_environment(monkeypatch):
    monkeypatch.setenv("GEOLIB_DATASET", "gallery")
    assert open_dataset().name == "gallery"


@pytest.mark.parametrize("name", ["osv-5m", "flickr", ""])
def test_a_dataset_that_is_not_there_is_refused_with_what_is(name):
    with pytest.raises(ValueError, match="available: postcards, gallery, folder, table"):
        open_dataset(name)


@pytest.mark.parametrize(("name", "options"), [("gallery", {"path": "x"}), ("folder", {}), ("table", {"colums": 1})])
def test_wrong_options_are_refused_in_words(name, options):
    with pytest.raises(ValueError, match=f"dataset '{name}': .*; it takes"):
        open_dataset(name, **options)


# A folder of photos


def test_a_folder_gives_the_photos_that_carry_gps(tmp_path):
    write_photo(tmp_path / "a.jpg", (46.0, 30.0, 36.0), (6.0, 0.0, 0.0), artist="Ada")
    write_photo(tmp_path / "trip" / "b.JPG", (33.0, 51.0, 0.0), (151.0, 12.0, 36.0), ref=("S", "E"))
    write_photo(tmp_path / "no-gps.png")
    (tmp_path / "text.jpg").write_text("not a picture")
    with pytest.warns(UserWarning, match="1 left out: not a JPEG, PNG or WEBP file, such as text.jpg"):
        dataset = open_dataset(f"folder:{tmp_path}")
    photos = dataset.photos
    assert list(photos.index) == photos["source"].tolist() == ["a.jpg", "trip/b.JPG"]
    assert photos["lat"].tolist() == pytest.approx([46.51, -33.85])
    assert photos["lon"].tolist() == pytest.approx([6.0, 151.21])
    assert photos["author"].tolist() == photos["photographer"].tolist() == ["Ada", ""]
    assert dataset.refused == {"without coordinates in the EXIF": 1, "not a JPEG, PNG or WEBP file": 1}
    assert dataset.image("trip/b.JPG").shape == (12, 16, 3)
    with pytest.warns(UserWarning, match="no calibration side"):
        assert set(dataset.split()) == {"train", "test"}


@pytest.mark.parametrize(
    ("lat", "lon", "why"),
    [
        ((91.0, 0.0, 0.0), (0.0, 0.0, 0.0), "not on the Earth"),
        ((0.0, 0.0, 0.0), (180.0, 30.0, 0.0), "not on the Earth"),
        ((1.0,), (1.0, 1.0, 1.0), "cannot be read"),
        ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), "exactly 0, 0"),
        ((1.0, 99.0, 0.0), (1.0, 0.0, 0.0), "cannot be read"),
    ],
)
def test_impossible_gps_is_no_label(tmp_path, lat, lon, why):
    *place, author, licence, said = folder.read_label(write_photo(tmp_path / "a.jpg", lat, lon))
    assert np.isnan(place).all() and why in said and author == licence == ""


def test_a_hemisphere_that_is_none_is_no_label(tmp_path):
    for ref in (("X", "E"), ("N", "")):
        assert folder.read_label(write_photo(tmp_path / "a.jpg", (1.0, 0, 0), (2.0, 0, 0), ref=ref))[-1]


def test_exif_says_who_took_a_photo_and_whose_it_is(tmp_path):
    many = {"artist": "Ada\0\x1b[31m  L.", "copyright": "\xa9 Ada", "owner": "Eve"}
    assert folder.read_label(write_photo(tmp_path / "a.jpg", **at(3, 4), **many))[2:4] == ("Ada [31m L.", "\xa9 Ada")
    assert folder.read_label(write_photo(tmp_path / "b.jpg", **at(3, 4), owner="Eve"))[2] == "Eve"
    assert (
        folder.read_label(write_photo(tmp_path / "c.jpg", **at(3, 4), artist="J\xf3zef \u0141"))[2] == "J\xf3zef \u0141"
    )


def test_the_photographers_of_a_folder_are_kept_apart(tmp_path):
    for n in range(60):
        write_photo(tmp_path / f"{n:02}.jpg", **at(n % 12, 1 + n // 12), artist=f"who {n % 12}")
    dataset = open_dataset(f"folder:{tmp_path}")
    side = dataset.split()
    assert {"train", "calibration", "test"} <= set(side)
    assert (side.groupby(dataset.photos["photographer"]).nunique() == 1).all()


def test_the_photos_of_one_person_are_split_by_places_and_a_warning_says_so(tmp_path):
    for n in range(60):
        write_photo(tmp_path / f"{n:02}.jpg", **at(n, n + 1), artist="Ada")
    dataset = open_dataset(f"folder:{tmp_path}")
    with pytest.warns(UserWarning, match="photographers are on several sides"):
        side = dataset.split()
    assert {"train", "calibration", "development", "test"} <= set(side)
    assert set(dataset.photos["photographer"]) == {"Ada"}, "intervals still know that one person took them all"


def test_the_exif_of_a_folder_is_read_once(tmp_path, monkeypatch):
    monkeypatch.setenv("GEOLIB_CACHE", str(tmp_path / "cache"))
    home, asked = tmp_path / "photos", []
    for name in "ab":
        write_photo(home / f"{name}.jpg", **at(1, 2))
    read = folder.read_label
    monkeypatch.setattr(folder, "read_label", lambda path: asked.append(path.name) or read(path))
    first = open_dataset(f"folder:{home}").photos
    assert asked == ["a.jpg", "b.jpg"]
    pd.testing.assert_frame_equal(open_dataset(f"folder:{home}").photos, first)
    assert len(asked) == 2
    write_photo(home / "b.jpg", **at(-5, 2), size=(40, 30))
    assert open_dataset(f"folder:{home}").photos["lat"].tolist() == [1, -5] and asked[2:] == ["b.jpg"]
    (home / "a.jpg").unlink()
    assert list(open_dataset(f"folder:{home}").photos.index) == ["b.jpg"] and len(asked) == 3
    next((tmp_path / "cache" / "folders").iterdir()).write_bytes(b"no table")
    assert len(open_dataset(f"folder:{home}")) == 1 and len(asked) == 4


def test_folders_without_labels_are_refused(tmp_path):
    with pytest.raises(MissingDataError, match="not a folder"):
        open_dataset("folder", path=tmp_path / "none")
    with pytest.raises(MissingDataError, match="holds no pictures"):
        open_dataset("folder", path=tmp_path)
    write_photo(tmp_path / "a.jpg")
    with pytest.raises(ValueError, match=r"none of the 1 pictures .* has GPS .*: 1 without coordinates in the EXIF"):
        open_dataset("folder", path=tmp_path)


# A table with a folder


def write_table(file, **columns):
    pd.DataFrame(columns).to_csv(file, index=False)
    return file


def test_a_published_table_opens_with_the_names_it_has(tmp_path):
    table = write_table(tmp_path / "im2gps3k.csv", IMG_ID=["0012", "x.png"], LAT=[1.5, -2], LON=[3.0, 4])
    write_photo(tmp_path / "0012.jpg")
    dataset = open_dataset("table", path=table)
    assert list(dataset.photos.index) == ["0012", "x.png"], "ids stay text: 0012 is not 12"
    assert dataset.image("0012").dtype == np.uint8
    assert dataset.path("x.png") == tmp_path / "x.png"


def test_columns_can_be_named(tmp_path):
    table = write_table(tmp_path / "t.csv", key=["007"], y=[10], x=[20], who=["Ada"])
    columns = {"id": "key", "lat": "y", "lon": "x", "photographer": "who"}
    photos = open_dataset("table", path=table, columns=columns, folder=tmp_path).photos
    row = photos.loc["007"]
    assert (row["lat"], row["lon"], row["photographer"], row["licence"]) == (10.0, 20.0, "Ada", "")


def test_names_of_columns_and_the_folder_can_stand_in_the_name(tmp_path):
    table = write_table(tmp_path / "t.csv", Image_ID=["007"], y=[10], x=[20], who=["Ada & Eve"])
    write_photo(tmp_path / "my pictures" / "007.jpg")
    dataset = open_dataset(f"table:{table}?id=Image_ID&lat=y&lon=x&photographer=who&folder={tmp_path}/my%20pictures")
    assert dataset.photos.loc["007", ["lat", "photographer"]].tolist() == [10.0, "Ada & Eve"]
    assert dataset.image("007").shape == (12, 16, 3)
    with pytest.raises(ValueError, match=r"table:/path/table\.csv\?id="):
        open_dataset(f"table:{table}")
    with pytest.raises(ValueError, match="expected names and values"):
        open_dataset(f"table:{table}?id")
    odd = table.rename(tmp_path / "what?.csv")
    assert len(open_dataset("table", path=odd, columns={"id": "Image_ID", "lat": "y", "lon": "x"})) == 1


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_na_is_text_none_is_no_name_and_ids_stay_as_they_are(tmp_path, separator):
    rows = [
        ["Id", "Lat", "LON", "country", "photographer"],
        ["0012", "1", "2", "NA", "null"],
        ["NA", "-1", "2", "", "None"],
    ]
    (tmp_path / "t.csv").write_text("\ufeff" + "\n".join(separator.join(row) for row in rows), encoding="utf-8")
    photos = open_dataset(f"table:{tmp_path}/t.csv").photos
    assert photos.index.tolist() == ["0012", "NA"] and photos["photographer"].tolist() == ["null", ""]
    assert photos["country"].iloc[0] == "NA" and photos["country"].isna().tolist() == [False, True]


def test_parquet_with_and_without_an_index(tmp_path):
    frame = pd.DataFrame({"id": ["a", "b"], "lat": [1.0, 2.0], "lon": [3.0, 4.0]})
    frame.to_parquet(tmp_path / "column.parquet")
    frame.set_index("id").to_parquet(tmp_path / "index.parquet")
    one, two = (open_dataset("table", path=tmp_path / f"{n}.parquet").photos for n in ("column", "index"))
    pd.testing.assert_frame_equal(one, two)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"id": [], "lat": [], "lon": []}, "has no rows"),
        ({"id": ["a"], "lat": [0]}, "no column for lon: it has id, lat"),
    ],
)
def test_tables_without_rows_or_places_are_refused(tmp_path, columns, message):
    with pytest.raises(ValueError, match=message):
        open_dataset("table", path=write_table(tmp_path / "t.csv", **columns))


@pytest.mark.parametrize("name", ["t.parquet", "t.csv"])
def test_files_that_are_no_tables(tmp_path, name):
    with pytest.raises(MissingDataError, match="does not exist"):
        open_dataset("table", path=tmp_path / name)
    (tmp_path / name).write_bytes(b"\x00\xff" * 50)
    with pytest.raises(ValueError, match=re.escape(name)) as caught:
        open_dataset("table", path=tmp_path / name)
    assert name == "t.csv" or caught.type is CorruptFileError


@pytest.mark.parametrize("name", ["../secret.jpg", "/etc/secret.jpg", "a/../../secret.jpg"])
def test_a_table_cannot_reach_out_of_its_folder(tmp_path, name):
    inside = tmp_path / "inside"
    inside.mkdir()
    write_photo(tmp_path / "secret.jpg")
    table = write_table(inside / "t.csv", id=["a"], lat=[1], lon=[2], path=[name])
    with pytest.raises(ImageError, match="leads out of its folder"):
        open_dataset("table", path=table).image("a")


def test_an_unknown_id_is_named():
    with pytest.raises(ValueError, match="no photo 'x' in gallery: ids look like 'gallery-000000'"):
        open_dataset("gallery").path("x")


# Splits


def table_of(lat, lon, photographer):
    ids = [f"p{n:04d}" for n in range(len(lat))]
    return pd.DataFrame({"lat": lat, "lon": lon, "photographer": photographer}, index=pd.Index(ids, name="id"))


def test_splits_of_a_dataset():
    photos = table_of([0.5] * 10, [0.5] * 10, [""] * 10)
    published = Dataset("x", photos.assign(split=["test"] * 10), Path)
    for kind in ("auto", "safe"):  # the name in older models
        assert published.split(kind).tolist() == ["test"] * 10
        assert published.split(kind).attrs == {"kind": "published", "gave_up": []}
    with pytest.warns(UserWarning, match="no test side"):
        assert Dataset("x", photos, Path).split().nunique() == 1, "one spot is never cut"
    assert published.split("random").value_counts().to_dict() == {
        "train": 7,
        "calibration": 1,
        "development": 1,
        "test": 1,
    }
    with pytest.raises(ValueError, match="expected one of 'auto', 'photographers', 'places'"):
        published.split("careful")


def test_a_photo_without_a_photographer_is_one_of_its_own():
    dataset = Dataset("x", table_of([0] * 3, [0] * 3, ["Ada", "", ""]), Path)
    assert dataset.photographers(["p0002", "p0000", "p0001"]).tolist() == ["p0002", "Ada", "p0001"]


def test_clusters_are_the_photographers_and_the_places_of_these_photos():
    photos = table_of([48.86, -33.9, 48.80, 48.85], [2.35, 151.2, 2.30, 2.36], ["Ada", "Ada", "", "Bo"])
    found = Dataset("x", photos, Path).clusters(["p0003", "p0001", "p0002"])
    assert list(found) == ["photographer", "place"] and list(found.index) == ["p0003", "p0001", "p0002"]
    assert found["photographer"].tolist() == ["Bo", "Ada", "p0002"]
    assert found["place"].tolist() == [0, 1, 0]


def test_credits_count_photos_by_author_and_licence():
    photos = table_of([0] * 3, [0] * 3, [""] * 3).assign(author=["Ada", "", "Ada"], licence="CC0", source="")
    dataset = Dataset("x", photos, Path)
    assert dataset.credits() == "1 photo: CC0\n2 photos: Ada, CC0"
    assert dataset.credits(["p0000"]) == "1 photo: Ada, CC0"


# Postcards


def test_postcards_have_places_photographers_and_a_published_split():
    """`test` asks for new photographers at known places, `test_places` for new regions."""
    postcards = open_dataset("postcards")
    side, photos = postcards.split(), postcards.photos
    tests = {"test", "test_places", "test_balanced"}
    assert set(side) == {"train", "train_balanced", "development", "calibration"} | tests
    assert (photos[["photographer", "licence"]] != "").all(axis=None)
    assert (side.groupby(photos["photographer"]).nunique() == 1).all(), "nobody is on two sides"
    table = describe_split(photos, side.replace({"train_balanced": "train"}))
    assert (table.loc[["calibration", *tests], "by_training_photographers"] == 0).all()
    assert table.loc["test", "within_25_km"] > 0.5 and table.loc["test_places", "within_25_km"] == 0
    assert nearest_training_km(photos, side.replace({"train_balanced": "train"}), "test_places").min() >= 50


def test_postcards_are_drawn_on_demand_and_identical_each_time(tmp_path, monkeypatch):
    drawn = []
    for cache in ("one", "two"):
        monkeypatch.setenv("GEOLIB_CACHE", str(tmp_path / cache))
        postcards = open_dataset("postcards")
        photo = next(
            i for i in postcards.photos.index if not data_path("postcards").joinpath(f"samples/{i}.jpg").is_file()
        )
        path = postcards.path(photo)
        assert path.is_relative_to(tmp_path / cache)
        drawn.append(path.read_bytes())
    assert drawn[0] == drawn[1]


def test_samples_that_ship_are_what_the_renderer_draws():
    from postcards import render_bytes

    postcards = open_dataset("postcards")
    samples = sorted(data_path("postcards", "samples").glob("*.jpg"))
    assert len(samples) >= 24
    for sample in samples[:: len(samples) // 4]:
        assert postcards.path(sample.stem) == sample
        drawn = load_rgb(render_bytes({"id": sample.stem, **postcards.photos.loc[sample.stem].to_dict()}))
        # Not bit for bit: another machine's skia and libjpeg may round other pixels the other way.
        assert np.abs(drawn.astype(float) - postcards.image(sample.stem)).mean() < 2


def test_datasets_open_and_split_without_torch_and_without_the_renderer():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import geolib.datasets as d; from geolib.datasets import archives, duplicates, report\n"
        "d.open_dataset('gallery').split(); print('skia' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False"
