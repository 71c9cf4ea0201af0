"""Tables of strangers: what is missing or ambiguous is refused, with its reason; the rest gets the right label."""

import csv
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from geolib import open_dataset
from geolib.common.files import data_path
from geolib.datasets.labels import exchanged_rows

ROOT = Path(__file__).resolve().parents[2]
VIENNA, QUITO = (48.2082, 16.3738), (-0.22, -78.51)


def write(path, *lines, separator=",", encoding="utf-8"):
    text = "\n".join(line if isinstance(line, str) else separator.join(map(str, line)) for line in lines)
    path.write_bytes((text + "\n").encode(encoding))
    return path


def places(dataset):
    return dict(zip(dataset.photos.index, zip(dataset.photos["lat"], dataset.photos["lon"], strict=True), strict=True))


def opened(path, **options):
    """The dataset and its warnings as text."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        dataset = open_dataset("table", path=path, **options)
    return dataset, "\n".join(str(warning.message) for warning in seen)


# Rows

HEAD = ("id", "lat", "lon", "path", "split")
BAD_ROWS = {
    "blank": (("b", "", "", "b.jpg", "test"), "without coordinates"),
    "one blank": (("b", "48", "", "b.jpg", "test"), "without coordinates"),
    "blanks only": (("b", "  ", "4", "b.jpg", "test"), "without coordinates"),
    "zero": (("b", "0", "0", "b.jpg", "test"), "exactly 0, 0"),
    "zero with decimals": (("b", "-0.000", "0,0", "b.jpg", "test"), "exactly 0, 0"),
    "beyond the pole": (("b", "95", "4", "b.jpg", "test"), "latitude that is not a number of degrees in [-90, 90]"),
    "beyond the dateline": (("b", "4", "-180.5", "b.jpg", "test"), "longitude that is not a number of degrees"),
    "words": (("b", "north", "4", "b.jpg", "test"), "latitude that is not a number"),
    "infinite": (("b", "inf", "4", "b.jpg", "test"), "latitude that is not a number"),
    "not a number": (("b", "nan", "4", "b.jpg", "test"), "latitude that is not a number"),
    "true": (("b", "True", "4", "b.jpg", "test"), "latitude that is not a number"),
    "underscore": (("b", "4_8", "4", "b.jpg", "test"), "latitude that is not a number"),
    "thousands": (("b", "1.234,5", "4", "b.jpg", "test"), "latitude that is not a number"),
    "degrees and minutes": (("b", "48°12'", "4", "b.jpg", "test"), "latitude that is not a number"),
    "no path": (("b", "48", "4", "", "test"), "without a path"),
    "no side": (("b", "48", "4", "b.jpg", ""), "without a side in the column split"),
    "no id": (("", "48", "4", "b.jpg", "test"), "without an id"),
    "an id of blanks": (("  ", "48", "4", "b.jpg", "test"), "without an id"),
    "twice": (("good", *VIENNA, "a.jpg", "test"), "in the table a second time"),
}


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("case", BAD_ROWS)
def test_a_bad_row_is_refused_and_counted_and_the_table_opens(case, kind, tmp_path):
    row, why = BAD_ROWS[case]
    table = tmp_path / f"t.{kind}"
    rows = [("good", *VIENNA, "a.jpg", "test"), row]
    if kind == "csv":
        with open(table, "w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([HEAD, *rows])
    else:
        pd.DataFrame([[value or None for value in map(str, row)] for row in rows], columns=HEAD).to_parquet(table)
    dataset, said = opened(table)
    assert places(dataset) == {"good": VIENNA}
    assert list(dataset.refused.values()) == [1] and why in next(iter(dataset.refused))
    assert "1 of 2 rows refused" in said and why in said and repr(row[0].strip()) in said


def test_two_places_for_one_id_are_ambiguous(tmp_path):
    rows = [("a", *VIENNA), ("a", *QUITO), ("b", *QUITO), ("c", "", ""), ("c", *VIENNA)]
    dataset, said = opened(write(tmp_path / "t.csv", HEAD[:3], *rows))
    assert places(dataset) == {"b": QUITO, "c": VIENNA}
    assert dataset.refused == {"with the id of another row": 2, "without coordinates": 1} and "'a'" in said


@pytest.mark.parametrize(
    ("head", "names"),
    [
        ("id,path,lat,lon", ["a,x.jpg", "b,x.jpg", "c,y.jpg", "d,y.jpg"]),
        ("id,path,lat,lon", ["a,x.jpg", "b,./x.jpg", "c,y.jpg", "d,y"]),
        ("id,path,lat,lon", ["a,u/x", "b,u//x.jpg", "c,y", "d,v/../y"]),
        ("id,lat,lon", ["a", "a.jpg", "c", "c.jpg"]),
    ],
)
def test_two_places_for_one_picture_are_ambiguous_and_one_place_twice_is_not(head, names, tmp_path):
    where = [VIENNA, QUITO, QUITO, QUITO]
    rows = [f"{name},{lat},{lon}" for name, (lat, lon) in zip(names, where, strict=True)]
    dataset, said = opened(write(tmp_path / "t.csv", head, *rows))
    assert places(dataset) == {names[2].split(",")[0]: QUITO, names[3].split(",")[0]: QUITO}
    assert dataset.refused == {"with the picture of another row that names another place": 2} and "'a'" in said


@pytest.mark.parametrize(
    "wrong", [[True, False], pd.to_datetime(["2020-01-01"] * 2), pd.to_timedelta([4, 5], unit="ns")], ids=str
)
def test_what_is_a_number_for_pandas_only_is_no_latitude(wrong, tmp_path):
    pd.DataFrame({"id": ["a", "b"], "lat": wrong, "lon": [3.0, 4.0]}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(ValueError, match=r"none of the 2 rows .* 2 with a latitude that is not a number"):
        open_dataset("table", path=tmp_path / "t.parquet")


def test_a_table_of_bad_rows_only_is_refused_with_every_reason(tmp_path):
    table = write(tmp_path / "t.csv", HEAD[:3], ("a", 0, 0), ("b", "", 3), ("c", 99, 3))
    with pytest.raises(
        ValueError, match=r"none of the 3 rows .* exactly 0, 0.*'a'.*without coordinates.*'b'.*latitude"
    ):
        open_dataset("table", path=table)


def test_blanks_around_values_do_not_count(tmp_path):
    table = write(tmp_path / "t.csv", "id , lat, lon ,path , photographer", 'a ,  1.5, 2 , "x y.jpg" , Ada ')
    dataset, said = opened(table)
    assert places(dataset) == {"a": (1.5, 2.0)} and not said
    assert dataset.path("a") == tmp_path / "x y.jpg" and dataset.photos.loc["a", "photographer"] == "Ada"


@pytest.mark.parametrize("side", ["val", "Train", "1"])
def test_a_side_that_geolib_does_not_know_is_refused_when_the_table_is_opened(side, tmp_path):
    table = write(tmp_path / "t.csv", "id,lat,lon,split", ("a", *VIENNA, "train"), ("b", *QUITO, side))
    with pytest.raises(ValueError, match=rf"t\.csv: the column split holds '{side}': expected train, calibration"):
        open_dataset("table", path=table)


def test_sides_of_a_published_split_are_kept(tmp_path):
    sides = ["train", "calibration", "development", "test", "test_places", "left_out"]
    rows = [(side, 10 + n, 20, side) for n, side in enumerate(sides)]
    dataset, _ = opened(write(tmp_path / "t.csv", "id,lat,lon,split", *rows))
    assert dataset.split().tolist() == sides


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("missing", ["nan", "None", "NULL", "<NA>", "\\N"])
def test_what_programs_write_for_a_missing_text_is_no_name(missing, kind, tmp_path):
    rows = [("a", "a.jpg", missing, missing), ("b", missing, "Ada", "Ada"), (missing, "c.jpg", "", "")]
    rows += [("NA", "d.jpg", "NA", "Nan")]
    frame = pd.DataFrame(rows, columns=["id", "path", "photographer", "author"]).assign(lat=[1, 2, 3, 4], lon=5)
    getattr(frame, f"to_{kind}")(tmp_path / f"t.{kind}", index=False)
    dataset, _ = opened(tmp_path / f"t.{kind}")
    assert dataset.refused == {"without a path": 1, "without an id": 1}
    assert dataset.photos[["photographer", "author"]].T.to_dict("list") == {"a": ["", ""], "NA": ["NA", "Nan"]}


@pytest.mark.parametrize("kind", ["float32", "float64", "Float64"])
def test_ids_that_pandas_made_decimal_are_whole_again_or_refused(kind, tmp_path):
    frame = pd.DataFrame({"id": [12, 7, None], "path": [3.0, 4.0, 5.0], "lat": [1, 2, 3], "lon": 4.0})
    frame.astype({"id": kind, "path": kind}).to_parquet(tmp_path / "t.parquet")
    dataset, _ = opened(tmp_path / "t.parquet")
    assert list(dataset.photos.index) == ["12", "7"] and dataset.refused == {"without an id": 1}
    assert dataset.path("12") == tmp_path / "3.jpg"
    large = frame.assign(id=[1, 2, 2.0**53]).astype({"id": kind})
    large.to_parquet(tmp_path / "t.parquet")
    with pytest.raises(ValueError, match=r"t\.parquet: the column 'id' .*such as 9007199254740992: save it as whole"):
        open_dataset("table", path=tmp_path / "t.parquet")


# Exchanged coordinates


def gallery(n=None, seed=0):
    """Places of real photos, each moved by some hundred metres so that none is a place that geolib knows by heart."""
    photos = pd.read_parquet(data_path("gallery", "gallery.parquet"))
    rng = np.random.default_rng(seed)
    photos = photos.iloc[rng.choice(len(photos), n or len(photos), replace=False)]
    lat, lon = photos[["lat", "lon"]].to_numpy().T + rng.normal(0, 0.003, (2, len(photos)))
    return np.clip(lat, -90, 90), np.clip(lon, -180, 180)


@pytest.mark.parametrize("n", [10, 100, 5000])
def test_exchanged_coordinates_of_real_photos_are_seen_and_honest_ones_are_not(n, tmp_path):
    for seed in range(10):
        lat, lon = gallery(n, seed)
        assert len(exchanged_rows(lat, lon)) == 0
        assert len(exchanged_rows(lon, lat)) >= 3
    pd.DataFrame({"id": range(n), "lat": lon, "lon": lat}).to_csv(tmp_path / "t.csv")
    with pytest.raises(ValueError, match="latitude and longitude look exchanged"):
        open_dataset("table", path=tmp_path / "t.csv")


@pytest.mark.parametrize(
    "where", [(35, 71, -10, 40), (25, 50, -90, -66), (-35, 35, -18, 50), (8, 35, 68, 89), (20, 50, 100, 150)]
)
def test_exchanged_coordinates_of_one_continent_are_seen(where):
    lat, lon = gallery()
    here = (lat > where[0]) & (lat < where[1]) & (lon > where[2]) & (lon < where[3])
    assert here.sum() > 500
    assert len(exchanged_rows(lat[here], lon[here])) == 0
    assert len(exchanged_rows(lon[here], lat[here])) > here.sum() / 10


def track(rng, n, south, north, west, east):
    """A ship's or a caravan's way: the next place is some kilometres from the last."""
    steps = np.cumsum(rng.normal(0, 0.2, (n, 2)) + rng.normal(0, 0.05, 2), axis=0)
    lat, lon = (rng.uniform((south, west), (north, east)) + steps).T
    return np.clip(lat, -89, 89), np.clip(lon, -179, 179)


@pytest.mark.parametrize(
    "box",
    [
        (-60, 60, -90, 90),
        (-40, 30, 50, 90),
        (-55, 55, -50, -10),
        (18, 30, -8, 30),
        (-85, -65, -80, 80),
        (70, 85, -60, 60),
    ],
)
def test_ships_islands_and_deserts_are_honest(box):
    """Far from any town as given, and at no particular place the other way round."""
    rng = np.random.default_rng(0)
    refused = [len(exchanged_rows(*track(rng, n, *box))) > 0 for n in [3, 10, 30, 300] * 25]
    assert not any(refused)


@pytest.mark.parametrize(
    "island",
    [
        (-5.7, 53.65),
        (-9.4, 46.35),
        (-7.0, 52.73),
        (-37.1, -12.3),
        (4.2, 73.5),
        (-0.7, 73.2),
        (19.9, -155.6),
        (37.7, -25.5),
        (12.5, 53.8),
    ],
    ids=["Desroches", "Aldabra", "Alphonse", "Tristan", "Male", "Addu", "Hawaii", "Azores", "Socotra"],
)
def test_many_photos_of_one_island_are_honest(island):
    lat, lon = (np.array(island) + np.random.default_rng(0).normal(0, 0.05, (500, 2))).T
    assert len(exchanged_rows(lat, lon)) == 0


def test_one_wrong_row_among_honest_ones_does_not_refuse_them():
    lat, lon = gallery(300)
    lat[:2], lon[:2] = lon[:2].copy(), lat[:2].copy()
    assert len(exchanged_rows(lat, lon)) == 0


def test_a_table_whose_latitudes_lie_beyond_the_poles_is_exchanged_not_bad_row_by_row(tmp_path):
    rows = [("tokyo", 139.69, 35.69), ("osaka", 135.5, 34.69), ("sydney", 151.21, -33.87), ("seoul", 126.98, 37.57)]
    table = write(tmp_path / "t.csv", HEAD[:3], *rows)
    with pytest.raises(ValueError, match=r"look exchanged.*'tokyo'"):
        open_dataset("table", path=table)
    named = open_dataset("table", path=table, columns={"lat": "lon", "lon": "lat"})
    assert places(named)["tokyo"] == (35.69, 139.69)


@pytest.mark.parametrize("place", [VIENNA, (41.9, 12.49), QUITO, (-33.87, 151.21), (35.69, 139.69)])
def test_exchanged_coordinates_of_one_town_give_a_warning_and_honest_ones_none(place, tmp_path):
    lat, lon = np.transpose(place + np.random.default_rng(0).uniform(-0.004, 0.004, (60, 2)))
    pd.DataFrame({"id": range(60), "lat": lat, "lon": lon}).to_csv(tmp_path / "t.csv")
    assert opened(tmp_path / "t.csv")[1] == ""
    try:
        _, said = opened(tmp_path / "t.csv", columns={"lat": "lon", "lon": "lat"})
    except ValueError as error:  # the town lies on the edges of several cells of 0.05 degrees
        said = str(error)
    assert "exchanged" in said


# Files

ROWS = [("id", "lat", "lon"), ("0012", 48.2, 16.4), ("é", -0.5, 2)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("said", [False, True])
def test_separators_and_encodings_of_spreadsheets_open(separator, encoding, said, tmp_path):
    lines = [f"sep={separator}"] * said + ROWS
    dataset, words = opened(write(tmp_path / "t.csv", *lines, separator=separator, encoding=encoding))
    assert places(dataset) == {"0012": (48.2, 16.4), "é": (-0.5, 2.0)} and not words


@pytest.mark.parametrize("separator", [";", "\t"])
def test_decimal_commas_are_numbers(separator, tmp_path):
    table = write(tmp_path / "t.csv", ROWS[0], ("a", "48,2082", "-16,3738"), ("b", "-1,5", "2.5"), separator=separator)
    assert places(opened(table)[0]) == {"a": (48.2082, -16.3738), "b": (-1.5, 2.5)}
    quoted = write(tmp_path / "q.csv", ROWS[0], ("a", '"48,2082"', '"16,3738"'))
    assert places(opened(quoted)[0]) == {"a": VIENNA}


@pytest.mark.parametrize("row", ["a,1,2,9", "a,1,2,9,9", "a,48,2082,16,3738", "a,1,2,"])
@pytest.mark.parametrize("before", [0, 1, 40])
def test_a_row_with_more_fields_than_the_header_is_refused_not_shifted(row, before, tmp_path):
    table = write(tmp_path / "t.csv", "id,lat,lon", *[(f"p{n}", 5, 6) for n in range(before)], row, "z,5,6")
    with pytest.raises(ValueError, match=rf"line {before + 2} of .* has \d fields, its header 3.*decimal commas"):
        open_dataset("table", path=table)


@pytest.mark.parametrize("row", ["b,48.2,16.37,120", "b,48.2,16.37", "b"])
@pytest.mark.parametrize("blank", [[], [""], ["  "]])
def test_a_row_with_fewer_fields_than_the_header_is_refused_not_shifted(row, blank, tmp_path):
    table = write(tmp_path / "t.csv", "id,altitude,lat,lon,heading", "a,170,48.2,16.37,90", *blank, row, "c,9,1,2,")
    dataset, said = opened(table)
    assert places(dataset) == {"a": (48.2, 16.37), "c": (1.0, 2.0)}
    assert dataset.refused == {"with fewer fields than the header": 1} and "'b'" in said


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        ("id,lat,lon\ncafé,1,2\n".encode("latin-1"), "not a text in UTF-8"),
        ("id,lat,lon\na,1,2\n".encode("utf-16-le"), "not a text file, but perhaps a spreadsheet"),
        (b"PK\x03\x04" + bytes(100), "perhaps a spreadsheet"),
    ],
    ids=["latin-1", "utf-16 without a mark", "xlsx"],
)
def test_other_encodings_are_refused_with_the_mend(content, cause, tmp_path):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(ValueError, match=f"{cause}.*save it as CSV UTF-8"):
        open_dataset("table", path=tmp_path / "t.csv")


def test_one_column_can_be_named_for_two_texts_but_not_for_a_coordinate(tmp_path):
    table = write(tmp_path / "t.csv", "file,y,x,who", ("a.png", *VIENNA, "Ada"))
    named = {"id": "file", "path": "file", "lat": "y", "lon": "x", "photographer": "who", "author": "who"}
    dataset, _ = opened(table, columns=named)
    assert dataset.path("a.png") == tmp_path / "a.png"
    assert dataset.photos.loc["a.png", ["photographer", "author"]].tolist() == ["Ada", "Ada"]
    with pytest.raises(ValueError, match="the column 'y' is named for lat and for lon"):
        open_dataset("table", path=table, columns=named | {"lon": "y"})
    only = write(tmp_path / "p.csv", "path,lat,lon", ("b.jpg", *VIENNA))
    assert opened(only, columns={"id": "path"})[0].path("b.jpg") == tmp_path / "b.jpg"


@pytest.mark.parametrize(
    "header", ["id,lat,lon,Lat", "id,lat,lon,lat", "id,latitude,lat,lon", "id,id,lat,lon", "id,lon,lat,lng"]
)
def test_two_columns_for_one_thing_are_ambiguous(header, tmp_path):
    with pytest.raises(ValueError, match=r"has several columns (for|called)"):
        open_dataset("table", path=write(tmp_path / "t.csv", header, "1,2,3,4"))


def test_a_very_wide_table_opens_at_once_with_the_columns_that_mean_something(tmp_path):
    names = [f"feature {n}" for n in range(20_000)]
    lines = [["id", *names, "lat", "lon", "photographer", "year"]]
    lines += [[f"p{n}", *["0.123"] * len(names), n + 1, n, "Ada", 1999] for n in range(20)]
    table = write(tmp_path / "t.csv", *lines)
    began = time.process_time()
    dataset, said = opened(table, columns={"year": "year"})
    assert time.process_time() - began < 10 and not said
    assert dataset.photos.loc["p3", ["lat", "lon", "photographer", "year"]].tolist() == [4, 3, "Ada", "1999"]
    assert len(dataset.photos.columns) < 20
    pd.DataFrame(lines[1:], columns=lines[0]).to_parquet(tmp_path / "t.parquet")
    assert opened(tmp_path / "t.parquet")[0].photos.loc["p3", "lat"] == 4
    with pytest.raises(ValueError, match="no column for lat: it has id, lat, lon") as caught:
        open_dataset("table", path=table, columns={"lat": "breite"})
    assert len(str(caught.value)) < 1000


def test_further_columns_of_an_ordinary_table_stay_as_they_are(tmp_path):
    table = write(tmp_path / "t.csv", ",id,lat,lon,year,country", ("0", "a", *VIENNA, 1999, "NA"))
    photos = opened(table)[0].photos
    assert photos.loc["a", "year"] == 1999 and photos.loc["a", "country"] == "NA"


# Names


@pytest.mark.parametrize("name", ["../secret.jpg", "/etc/secret.jpg", "a/../../secret.jpg"])
def test_a_name_that_leads_out_of_its_folder_is_refused(name, tmp_path):
    dataset, _ = opened(write(tmp_path / "t.csv", "id,lat,lon,path", ("a", *VIENNA, name)))
    with pytest.raises(ValueError, match="leads out of its folder"):
        dataset.path("a")


def test_links_to_pictures_and_folders_elsewhere_are_followed(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "t").mkdir()
    Image.new("RGB", (8, 6), "teal").save(tmp_path / "elsewhere" / "a.jpg")
    (tmp_path / "t" / "link.jpg").symlink_to(tmp_path / "elsewhere" / "a.jpg")
    (tmp_path / "t" / "deep").symlink_to(tmp_path / "elsewhere")
    rows = [("a", *VIENNA, "link.jpg"), ("b", *VIENNA, "deep/a.jpg"), ("c", *VIENNA, "./link.jpg")]
    dataset, _ = opened(write(tmp_path / "t" / "t.csv", "id,lat,lon,path", *rows))
    assert [dataset.image(photo).shape for photo in "abc"] == [(6, 8, 3)] * 3


# The command line


def geolib_command(*arguments):
    return subprocess.run([sys.executable, "-m", "geolib", *arguments], cwd=ROOT, capture_output=True, text=True)


def test_the_command_line_counts_the_rows_that_were_refused(tmp_path):
    Image.new("RGB", (40, 30), "teal").save(tmp_path / "a.jpg")
    table = write(tmp_path / "t.csv", ROWS[0], ("a", *VIENNA), ("b", 0, 0), ("c", "", ""), ("d", *QUITO))
    ended = geolib_command("fetch", "look", f"table:{table}")
    assert ended.returncode == 0
    assert "1 photo, 1 country" in ended.stdout and "refused: 3" in ended.stdout
    for why in ("without coordinates", "exactly 0, 0", "does not exist"):
        assert why in ended.stdout
    assert "2 of 4 rows refused" in ended.stderr and "'b'" in ended.stderr and "Traceback" not in ended.stderr


def test_a_table_without_any_picture_is_reported_not_a_fault(tmp_path):
    ended = geolib_command("fetch", "look", f"table:{write(tmp_path / 't.csv', *ROWS)}")
    assert ended.returncode == 0 and "0 photos" in ended.stdout and "2  does not exist" in ended.stdout


def test_a_table_that_is_refused_is_one_line(tmp_path):
    table = write(tmp_path / "t.csv", ROWS[0], ("a", 2.35, 48.86), ("b", 13.4, 52.5), ("c", 4.9, 52.37))
    ended = geolib_command("fetch", "look", f"table:{table}")
    assert ended.returncode == 2 and ended.stdout == ""
    assert ended.stderr.startswith("error: ") and ended.stderr.count("\n") == 1 and "look exchanged" in ended.stderr


@pytest.mark.parametrize("header", ['id,lat,lon,"notes; a; b; c; d"', 'id;lat;lon;"notes, a, b, c, d"'])
def test_a_separator_inside_quotes_separates_nothing(header, tmp_path):
    mark = header[2]
    (tmp_path / "t.csv").write_text(f"{header}\n{mark.join(['a', '48.2', '16.4', 'x'])}\n")
    assert places(opened(tmp_path / "t.csv")[0]) == {"a": (48.2, 16.4)}


def test_the_minus_of_typesetters_is_a_minus(tmp_path):
    (tmp_path / "t.csv").write_text("id,lat,lon\na,\N{MINUS SIGN}33.8,151.2\n", encoding="utf-8")
    assert places(opened(tmp_path / "t.csv")[0]) == {"a": (-33.8, 151.2)}
