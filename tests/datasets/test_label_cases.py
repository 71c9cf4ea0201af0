"""Labels that are easily read wrongly: signed, void, unknown and odd EXIF coordinates, and folders with links."""

import hashlib
import io
import os
import struct
import sys
import threading
import warnings
import zlib

import numpy as np
import pytest
from handmade import png
from PIL import Image

from geolib.app import cli
from geolib.common.errors import ImageError, MissingDataError
from geolib.datasets import open_dataset
from geolib.images import load_rgb

RATIONAL, SRATIONAL, ASCII, BYTE, UNDEFINED, DOUBLE = 5, 10, 2, 1, 7, 12
SIZES = {DOUBLE: 8, RATIONAL: 8, SRATIONAL: 8, ASCII: 1, BYTE: 1, UNDEFINED: 1}
NO_PLACE = "without coordinates in the EXIF"
CONTRADICTED = "with a sign that contradicts its hemisphere"
NO_FIX = "with coordinates of a receiver that had no fix (GPSStatus V)"
TWICE = "with decimals before further minutes or seconds"
UNREADABLE = "with EXIF that cannot be read"


def rationals(*parts, kind=RATIONAL):
    """A tag's value of numerators and denominators, such as (48, 1), (12, 1), (30, 1)."""
    code = "<ii" if kind == SRATIONAL else "<II"
    return kind, b"".join(struct.pack(code, *part) for part in parts)


def signed(*degrees):
    """Degrees, minutes and seconds as signed hundredths."""
    return rationals(*((round(100 * part), 100) for part in degrees), kind=SRATIONAL)


def plain(*degrees):
    return rationals(*((round(100 * part), 100) for part in degrees))


def text(value):
    return ASCII, value.encode() + b"\0"


def doubles(*degrees):
    return DOUBLE, struct.pack(f"<{len(degrees)}d", *degrees)


UNKNOWN = (0, 0)


def exif(tags):
    """EXIF with a GPS directory of `tags`: tag -> (type, bytes). Written by hand: Pillow would mend what it writes."""
    head = b"II*\0" + struct.pack("<I", 8)
    first = struct.pack("<HHHII", 1, 0x8825, 4, 1, 26) + struct.pack("<I", 0)
    data_at, entries, data = 26 + 2 + 12 * len(tags) + 4, b"", b""
    for tag, (kind, value) in sorted(tags.items()):
        field = value.ljust(4, b"\0") if len(value) <= 4 else struct.pack("<I", data_at + len(data))
        data += b"" if len(value) <= 4 else value
        entries += struct.pack("<HHI", tag, kind, len(value) // SIZES[kind]) + field
    return b"Exif\0\0" + head + first + struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0) + data


def gps(lat=None, lon=None, refs="NE", **more):
    north, east = refs
    tags = {1: text(north) if north != "?" else None, 2: lat, 3: text(east) if east != "?" else None, 4: lon}
    tags |= {int(tag.removeprefix("tag")): value for tag, value in more.items()}
    return {tag: value for tag, value in tags.items() if value is not None}


def write_photo(path, tags=None, kind="JPEG"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (16, 12), (200, 120, 40)).save(path, kind, **({"exif": exif(tags)} if tags is not None else {}))
    return path


GOOD = gps(plain(48, 12, 30), plain(16, 22, 12))


def opened(folder):
    """The dataset of a folder, its refused files by reason, and its warnings."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        dataset = open_dataset(f"folder:{folder}")
    return dataset, dict(dataset.refused), [str(each.message) for each in said]


def look(folder, capsys):
    """What `geolib fetch look` prints."""
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert cli.main(["fetch", "look", f"folder:{folder}"]) == 0
    return capsys.readouterr()


def test_the_exif_written_here_is_what_pillow_reads(tmp_path):
    with Image.open(write_photo(tmp_path / "a.jpg", GOOD)) as image:
        read = image.getexif().get_ifd(0x8825)
    assert read == {1: "N", 2: (48.0, 12.0, 30.0), 3: "E", 4: (16.0, 22.0, 12.0)}


# Coordinates that are known

KNOWN = {
    "unsigned": (GOOD, (48.208333, 16.37)),
    "unsigned S and W": (gps(plain(33, 51, 36), plain(70, 40, 12), "SW"), (-33.86, -70.67)),
    "minus before degrees, S": (gps(signed(-33, 51, 36), plain(151, 12, 0), "SE"), (-33.86, 151.2)),
    "minus before all parts, S": (gps(signed(-33, -51, -36), plain(151, 12, 0), "SE"), (-33.86, 151.2)),
    "minus before degrees, W": (gps(plain(40, 42, 0), signed(-74, 0, 36), "NW"), (40.7, -74.01)),
    "minus before both": (gps(signed(-33, 51, 36), signed(-70, -40, -12), "SW"), (-33.86, -70.67)),
    "signed decimal degrees, S": (gps(signed(-33.86, 0, 0), plain(151.2, 0, 0), "SE"), (-33.86, 151.2)),
    "signed decimal degrees, W": (gps(plain(40.7, 0, 0), signed(-74.01, 0, 0), "NW"), (40.7, -74.01)),
    "minus before minutes of degree 0": (gps(signed(0, -30, 36), signed(0, -12, 0), "SW"), (-0.51, -0.2)),
    "signed, but not negative": (gps(signed(48, 12, 30), signed(16, 22, 12)), (48.208333, 16.37)),
    "unknown seconds": (
        gps(rationals((48, 1), (12, 1), UNKNOWN), rationals((16, 1), (22, 1), UNKNOWN)),
        (48.2, 16.366667),
    ),
    "unknown seconds of one axis": (gps(rationals((48, 1), (12, 1), UNKNOWN), plain(16, 22, 12)), (48.2, 16.37)),
    "text": (gps(text("52,0,34.5"), text("0, 30, 36"), "NW"), (52.009583, -0.51)),
    "text of one axis": (gps(text("52,0,34.5"), plain(16, 22, 12)), (52.009583, 16.37)),
    "minus before degree 0 in a text": (gps(text("-0,30,0"), plain(16, 22, 12), "SE"), (-0.5, 16.37)),
    "minus before degree 0 as a double": (gps(doubles(-0.0, 30, 0), plain(16, 22, 12), "SE"), (-0.5, 16.37)),
    "decimal minutes": (gps(plain(48, 12.5, 0), plain(16, 22.2, 0)), (48.208333, 16.37)),
    "decimal seconds": (gps(plain(48, 12, 30.25), plain(16, 22, 12)), (48.208403, 16.37)),
    "status A": (GOOD | {9: text("A")}, (48.208333, 16.37)),
    "small letters": (gps(plain(33, 51, 36), plain(70, 40, 12), "sw"), (-33.86, -70.67)),
    "one axis is 0": (gps(plain(0, 0, 0), plain(16, 22, 12)), (0, 16.37)),
}


@pytest.mark.parametrize("case", KNOWN)
def test_known_coordinates_are_read(tmp_path, case):
    tags, place = KNOWN[case]
    write_photo(tmp_path / "a.jpg", tags)
    dataset, refused, said = opened(tmp_path)
    assert dataset.photos.loc["a.jpg", ["lat", "lon"]].tolist() == pytest.approx(place, abs=1e-6)
    assert refused == {} and said == []


# Coordinates that are not known, or ambiguous

REFUSED = {
    "minus before degrees, N": (gps(signed(-33, 51, 36), plain(151, 12, 0), "NE"), CONTRADICTED),
    "minus before all parts, N": (gps(signed(-33, -51, -36), plain(151, 12, 0), "NE"), CONTRADICTED),
    "minus before degrees, E": (gps(plain(40, 42, 0), signed(-74, 0, 36), "NE"), CONTRADICTED),
    "minus before decimal degrees, E": (gps(plain(40.7, 0, 0), signed(-74.01, 0, 0), "NE"), CONTRADICTED),
    "minus before both, N and E": (gps(signed(-33, 51, 36), signed(-70, 40, 12), "NE"), CONTRADICTED),
    "S agrees, E does not": (gps(signed(-33, 51, 36), signed(-70, 40, 12), "SE"), CONTRADICTED),
    "minus in the text, N": (gps(text("-33,51,36"), plain(151, 12, 0), "NE"), CONTRADICTED),
    "minus before the minutes only": (gps(signed(33, -51, 36), plain(151, 12, 0), "SE"), UNREADABLE),
    "minus before degree 0 in a text, N": (gps(text("-0,30,0"), plain(16, 22, 12)), CONTRADICTED),
    "minus before degree 0 as a double, N": (gps(doubles(-0.0, 30, 0), plain(16, 22, 12)), CONTRADICTED),
    "decimal degrees and minutes": (gps(doubles(48.208333, 12.5, 0), plain(16, 22, 12)), TWICE),
    "decimal degrees and seconds": (gps(plain(48, 12, 30), plain(16.37, 0, 12)), TWICE),
    "decimal minutes and seconds": (gps(plain(48, 12.5, 30), plain(16, 22, 12)), TWICE),
    "status Void": (GOOD | {9: text("Void")}, NO_FIX),
    "status V": (GOOD | {9: text("V")}, NO_FIX),
    "status V as bytes": (GOOD | {9: (UNDEFINED, b"V\0")}, NO_FIX),
    "status V, S and W": (gps(plain(33, 51, 36), plain(70, 40, 12), "SW", tag9=text("V")), NO_FIX),
    "nothing in the directory": ({}, NO_PLACE),
    "version only": ({0: (BYTE, b"\2\3\0\0")}, NO_PLACE),
    "altitude only": ({5: (BYTE, b"\0"), 6: rationals((120, 1))}, NO_PLACE),
    "letters only": (gps(), NO_PLACE),
    "latitude only": (gps(plain(48, 12, 30)), NO_PLACE),
    "longitude only": (gps(lon=plain(16, 22, 12)), NO_PLACE),
    "all unknown": (gps(rationals(UNKNOWN, UNKNOWN, UNKNOWN), rationals(UNKNOWN, UNKNOWN, UNKNOWN)), NO_PLACE),
    "all unknown, signed": (
        gps(rationals(*[UNKNOWN] * 3, kind=SRATIONAL), rationals(*[UNKNOWN] * 3, kind=SRATIONAL)),
        NO_PLACE,
    ),
    "longitude unknown": (gps(plain(48, 12, 30), rationals(UNKNOWN, UNKNOWN, UNKNOWN)), NO_PLACE),
    "minutes unknown": (gps(rationals((48, 1), UNKNOWN, UNKNOWN), plain(16, 22, 12)), UNREADABLE),
    "degrees unknown": (gps(rationals(UNKNOWN, (12, 1), (30, 1)), plain(16, 22, 12)), UNREADABLE),
    "no hemisphere of the latitude": (
        gps(plain(48, 12, 30), plain(16, 22, 12), "?E"),
        "hemisphere is missing (N or S)",
    ),
    "no hemisphere of the longitude": (
        gps(plain(48, 12, 30), plain(16, 22, 12), "N?"),
        "hemisphere is missing (E or W)",
    ),
    "another letter": (gps(plain(48, 12, 30), plain(16, 22, 12), "EN"), "hemisphere is missing (N or S)"),
    "0, 0": (gps(plain(0, 0, 0), plain(0, 0, 0)), "of exactly 0, 0"),
    "0, 0 in S and W": (gps(plain(0, 0, 0), plain(0, 0, 0), "SW"), "of exactly 0, 0"),
    "latitude beyond the pole": (gps(plain(90, 0, 1), plain(16, 22, 12)), "not on the Earth"),
    "longitude beyond 180": (gps(plain(48, 12, 30), plain(180, 0, 1), "NW"), "not on the Earth"),
    "a minus read without its sign": (
        gps(rationals((2**32 - 33, 1), (51, 1), (36, 1)), plain(151, 12, 0), "SE"),
        "not on the Earth",
    ),
    "minutes beyond 60": (gps(plain(48, 75, 0), plain(16, 22, 12)), UNREADABLE),
    "text of words": (gps(text("fifty"), plain(16, 22, 12)), UNREADABLE),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_unknown_or_ambiguous_is_refused_by_name_and_others_are_kept(tmp_path, case):
    tags, reason = REFUSED[case]
    write_photo(tmp_path / "bad.jpg", tags)
    with pytest.raises(ValueError, match="none of the 1 pictures"):
        open_dataset(f"folder:{tmp_path}")
    write_photo(tmp_path / "good.jpg", GOOD)
    dataset, refused, said = opened(tmp_path)
    assert list(dataset.photos.index) == ["good.jpg"]
    ((why, number),) = refused.items()
    assert reason in why and number == 1
    if reason == NO_PLACE:  # most photos have none: counted without a warning
        assert said == []
    else:
        assert said == [f"{tmp_path}: 1 left out: {why}, such as bad.jpg"]


def test_a_directory_that_is_cut_is_damaged_and_not_without_coordinates(tmp_path):
    content = exif(GOOD)
    Image.new("RGB", (16, 12)).save(tmp_path / "bad.jpg", exif=content[:-20])
    write_photo(tmp_path / "good.jpg", GOOD)
    assert opened(tmp_path)[1] == {UNREADABLE: 1}


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_other_formats_are_read_by_the_same_rules(tmp_path, kind):
    for number, (tags, _) in enumerate([KNOWN["minus before both"], REFUSED["status V"], REFUSED["version only"]]):
        write_photo(tmp_path / f"{number}.{kind.lower()}", tags, kind)
    dataset, refused, _ = opened(tmp_path)
    assert dataset.photos["lat"].tolist() == pytest.approx([-33.86]) and refused == {NO_FIX: 1, NO_PLACE: 1}


def test_the_command_line_counts_refused_photos_by_reason(tmp_path, capsys):
    write_photo(tmp_path / "0.jpg", GOOD)
    for number, case in enumerate(["status V", "minus before degrees, E", "version only", "altitude only"], 1):
        write_photo(tmp_path / f"{number}.jpg", REFUSED[case][0])
    shown = look(tmp_path, capsys)
    lines = [line.split(maxsplit=1) for line in shown.out.splitlines()]
    assert ["refused:", "4, of these"] in lines and ["2", NO_PLACE] in lines and ["1", NO_FIX] in lines
    assert any(number == "1" and why.startswith(CONTRADICTED) for number, why in lines)
    assert "such as 1.jpg" in shown.err and "such as 2.jpg" in shown.err


def test_labels_that_an_earlier_edition_cached_are_read_anew(tmp_path, monkeypatch):
    """Its cache had the folder's hash alone as a name."""
    monkeypatch.setenv("GEOLIB_CACHE", str(tmp_path / "cache"))
    write_photo(tmp_path / "photos" / "a.jpg", KNOWN["minus before degrees, S"][0])
    dataset, _, _ = opened(tmp_path / "photos")
    (kept,) = (tmp_path / "cache").rglob("*.parquet")
    old = hashlib.sha256(os.fsencode((tmp_path / "photos").resolve())).hexdigest()[:16]
    assert kept.stem != old and dataset.photos["lat"].tolist() == pytest.approx([-33.86])


def test_a_file_that_could_not_be_opened_is_tried_again(tmp_path, monkeypatch):
    """Permissions change neither size nor time of a file."""
    write_photo(tmp_path / "a.jpg", GOOD)
    locked = write_photo(tmp_path / "b.jpg", GOOD)
    really_open = open

    def denied(path, *options):
        if str(path) == str(locked):
            raise PermissionError(13, "Permission denied")
        return really_open(path, *options)

    with monkeypatch.context() as patch:
        patch.setattr("builtins.open", denied)  # the tests may run as root, whom no mode keeps out
        assert opened(tmp_path)[1] == {"cannot be read": 1}
    dataset, refused, _ = opened(tmp_path)
    assert len(dataset) == 2 and refused == {}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_file_with_the_escaped_name_of_one_that_is_not_utf_8_stays(tmp_path):
    write_photo(tmp_path / "a\\xff.jpg", GOOD)
    os.link(tmp_path / "a\\xff.jpg", os.fsencode(tmp_path) + b"/a\xff.jpg")
    for _ in range(2):  # the second time from the cache
        dataset, refused, _ = opened(tmp_path)
        assert list(dataset.photos.index) == ["a\\xff.jpg"] and refused == {"with a name that is not UTF-8": 1}


# Sizes before pixels


def test_a_label_is_refused_by_the_size_of_its_image_and_no_pixel_is_decoded(tmp_path, monkeypatch):
    place = (b"eXIf", exif(GOOD)[6:])
    (tmp_path / "huge.png").write_bytes(png(65_535, 65_535, place, (b"IDAT", zlib.compress(bytes(9_000)))))
    (tmp_path / "good.png").write_bytes(png(2, 1, (b"IDAT", zlib.compress(bytes(7))), place))  # EXIF after the pixels
    buffer = io.BytesIO()
    Image.new("RGB", (16, 12)).save(buffer, "JPEG", exif=exif(GOOD))
    few = buffer.getvalue().replace(struct.pack(">HH", 12, 16), struct.pack(">HH", 12_240, 16_320))
    (tmp_path / "few.jpg").write_bytes(few)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda _: pytest.fail("it was decoded"))
    dataset, refused, _ = opened(tmp_path)
    assert list(dataset.photos.index) == ["good.png"]
    assert refused == {"with too many pixels": 1, "with too few bytes for its pixels": 1}


# Folders


def test_a_folder_of_links_to_photos_elsewhere_opens(tmp_path):
    photo = write_photo(tmp_path / "elsewhere" / "photo.jpg", GOOD)
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "a.jpg").symlink_to(photo)
    dataset, refused, said = opened(tmp_path / "links")
    assert list(dataset.photos.index) == ["a.jpg"] and refused == {} and said == []
    np.testing.assert_array_equal(dataset.image("a.jpg"), load_rgb(photo))


def test_linked_folders_are_followed_once_and_loops_end(tmp_path):
    home, away = tmp_path / "home", tmp_path / "away"
    write_photo(home / "own" / "a.jpg", GOOD)
    write_photo(away / "trip" / "b.jpg", GOOD)
    links = {
        home / "away": away,  # a folder elsewhere
        home / "twice": away,  # the same once more
        home / "again": home / "own",  # one that is there anyhow
        home / "own" / "up": home,  # a loop
        away / "trip" / "back": home,  # a loop by way of the folder elsewhere
        away / "self": away,
    }
    for link, target in links.items():
        link.symlink_to(target, target_is_directory=True)
    dataset, refused, said = opened(home)
    assert list(dataset.photos.index) == ["away/trip/b.jpg", "own/a.jpg"] and refused == {} and said == []
    assert dataset.image("away/trip/b.jpg").shape == (12, 16, 3)


def test_a_link_to_nowhere_is_counted(tmp_path):
    write_photo(tmp_path / "a.jpg", GOOD)
    (tmp_path / "b.jpg").symlink_to(tmp_path / "gone.jpg")
    dataset, refused, said = opened(tmp_path)
    assert len(dataset) == 1 and refused == {"does not exist": 1} and "such as b.jpg" in said[0]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with names are of Unix")
def test_a_pipe_with_the_name_of_a_photo_does_not_hang(tmp_path):
    write_photo(tmp_path / "a.jpg", GOOD)
    os.mkfifo(tmp_path / "b.jpg")
    os.mkfifo(tmp_path / "c")
    found = []
    thread = threading.Thread(target=lambda: found.append(opened(tmp_path)[1]), daemon=True)
    thread.start()
    thread.join(30)
    assert found == [{"a device or a pipe": 1}]


def test_a_name_in_a_table_still_cannot_lead_out_of_its_folder_but_a_link_may(tmp_path):
    photo = write_photo(tmp_path / "elsewhere" / "photo.jpg")
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "a.jpg").symlink_to(photo)
    (tmp_path / "inside" / "way").symlink_to(photo.parent, target_is_directory=True)
    rows = "id,lat,lon,path\na,1,2,a.jpg\nb,1,3,../elsewhere/photo.jpg\nc,1,4,way/../elsewhere/photo.jpg\n"
    (tmp_path / "inside" / "t.csv").write_text(rows + f"d,1,5,{photo}\ne,1,6,way/photo.jpg\n")
    dataset = open_dataset(f"table:{tmp_path}/inside/t.csv")
    for good in "ae":
        np.testing.assert_array_equal(dataset.image(good), load_rgb(photo))
    for bad in "bcd":
        with pytest.raises(ImageError, match="leads out of its folder"):
            dataset.image(bad)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_file_whose_name_is_not_utf8_is_refused_and_the_others_are_kept(tmp_path, capsys):
    write_photo(tmp_path / "bon.jpg", GOOD)
    write_photo(tmp_path / "\u00e9t\u00e9.jpg", GOOD)
    write_photo(tmp_path / "c.jpg", GOOD).rename(tmp_path / os.fsdecode(b"caf\xe9.jpg"))
    for _ in range(2):  # the second time from the cache
        dataset, refused, said = opened(tmp_path)
        assert list(dataset.photos.index) == ["bon.jpg", "\u00e9t\u00e9.jpg"]
        assert refused == {"with a name that is not UTF-8": 1} and r"such as ./caf\xe9.jpg" in said[0]
    assert "1  with a name that is not UTF-8" in look(tmp_path, capsys).out


def test_every_ending_of_a_photo_is_read_and_files_without_ending_by_their_first_bytes(tmp_path):
    names = ["a.jfif", "b.JPE", "c.jpeg", "DSC 0001", "2024/photo"]
    for name in names:
        write_photo(tmp_path / name, GOOD)
    write_photo(tmp_path / "png", GOOD, "PNG")
    (tmp_path / "README").write_text("no photo")
    (tmp_path / "empty").touch()
    dataset, refused, said = opened(tmp_path)
    assert set(dataset.photos.index) == {*names, "png"} and refused == {} and said == []
    assert dataset.image("DSC 0001").shape == (12, 16, 3)


def test_a_table_knows_these_endings(tmp_path):
    write_photo(tmp_path / "a.jfif")
    (tmp_path / "t.csv").write_text("id,lat,lon\na.jfif,1,2\n")
    assert open_dataset(f"table:{tmp_path}/t.csv").image("a.jfif").shape == (12, 16, 3)


def test_the_home_folder_can_be_written_as_a_tilde(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    write_photo(tmp_path / "photos" / "a.jpg", GOOD)
    (tmp_path / "t.csv").write_text("id,lat,lon\na,1,2\n")
    for dataset in (open_dataset("folder:~/photos"), open_dataset("folder", path="~/photos")):
        assert dataset.image("a.jpg").shape == (12, 16, 3)
    assert open_dataset("table:~/t.csv?folder=~/photos").image("a").shape == (12, 16, 3)
    assert "1 photo" in look("~/photos", capsys).out
    with pytest.raises(MissingDataError, match="is not a folder"):
        open_dataset("folder:~/none")


def test_a_cache_that_cannot_be_written_is_named_with_the_variable_that_moves_it(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("GEOLIB_CACHE", str(tmp_path / "file" / "cache"))
    write_photo(tmp_path / "photos" / "a.jpg", GOOD)
    dataset, _, said = opened(tmp_path / "photos")
    assert len(dataset) == 1
    assert len(said) == 1 and "set GEOLIB_CACHE to a folder" in said[0] and str(tmp_path / "file" / "cache") in said[0]
