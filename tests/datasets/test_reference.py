"""Published tables by their names, OSV-5M's geocells through the real download code, and folders with HEIC."""

import hashlib
import io
import os
import re
import subprocess
import sys
import time
import warnings

import numpy as np
import pandas as pd
import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image
from web import Server, cut, redirect, status

import geolib.__main__ as cli
from geolib import Encoder, GeocellTree, Geolocator, sphere
from geolib.common.errors import CorruptFileError, ImageError, MissingDataError
from geolib.datasets import folder, open_dataset
from geolib.datasets.reference import LAYOUTS, check_quadtree, fetch_quadtree, read_quadtree
from geolib.images import load_rgb

# Published tables

# The first rows of the published table (TIBHannover/GeoEstimation, meta/im2gps3k_places365.csv), in its layout.
IM2GPS3K = """IMG_ID,AUTHOR,LAT,LON,S3_Label,S16_Label,S365_Label,Prob_indoor,Prob_natural,Prob_urban
1000269685_e60e9cdfb4_1125_78841376@N00.jpg,78841376@N00,32.325436,-64.764404,2,12,353,0.27,0.05,0.68
1005977048_5ccf8b05d3_1201_91728102@N00.jpg,91728102@N00,29.976052,122.390356,2,6,273,0.00,0.48,0.52
104122769_f122c548dc_40_19355699@N00.jpg,19355699@N00,-16.663606,145.563537,1,8,279,0.15,0.64,0.21
"""


@pytest.fixture
def im2gps3k(tmp_path):
    (tmp_path / "im2gps3k_places365.csv").write_text(IM2GPS3K)
    for line in IM2GPS3K.splitlines()[1:]:
        Image.new("RGB", (16, 12), (200, 120, 40)).save(tmp_path / line.split(",")[0])
    return tmp_path / "im2gps3k_places365.csv"


def test_im2gps3k_opens_by_its_name_as_it_was_published(im2gps3k):
    for dataset in (open_dataset(f"im2gps3k:{im2gps3k}"), open_dataset("im2gps3k", path=im2gps3k)):
        photos = dataset.photos
        assert photos["photographer"].tolist() == ["78841376@N00", "91728102@N00", "19355699@N00"]
        assert photos["lat"].tolist() == [32.325436, 29.976052, -16.663606]
        assert dataset.split().unique().tolist() == ["test"], "a benchmark is for testing"
        assert dataset.image(photos.index[0]).shape == (12, 16, 3)
        assert "78841376@N00, as the photographer chose on Flickr, Flickr" in dataset.credits()


def test_what_the_table_has_of_its_own_stays(im2gps3k):
    frame = pd.read_csv(im2gps3k).assign(licence="CC0", split=["train", "test", "test"], who="Ada")
    frame.to_csv(im2gps3k, index=False)
    dataset = open_dataset("im2gps3k", path=im2gps3k, columns={"photographer": "who"})
    assert dataset.photos["licence"].unique().tolist() == ["CC0"]
    assert dataset.split().tolist() == ["train", "test", "test"]
    assert dataset.photos["photographer"].unique().tolist() == ["Ada"]


def test_a_benchmark_without_a_path_is_sought_in_the_cache(im2gps3k, tmp_path, monkeypatch):
    monkeypatch.setenv("GEOLIB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(MissingDataError, match=r"curl -L -O https://raw\.githubusercontent.*im2gps3k_places365\.csv"):
        open_dataset("im2gps3k")
    (tmp_path / "cache" / "im2gps3k").mkdir(parents=True)
    im2gps3k.rename(tmp_path / "cache" / "im2gps3k" / im2gps3k.name)
    assert len(open_dataset("im2gps3k", folder=tmp_path)) == 3


def test_the_early_table_with_exchanged_coordinates_is_refused(im2gps3k):
    im2gps3k.write_text(IM2GPS3K.replace("LAT,LON", "LON,LAT"))
    with pytest.raises(ValueError, match=r"exchanged: latitudes to 145\.564.*columns="):
        open_dataset(f"im2gps3k:{im2gps3k}")
    photos = open_dataset("im2gps3k", path=im2gps3k, columns={"lat": "LON", "lon": "LAT"}).photos
    assert photos["lat"].tolist() == [32.325436, 29.976052, -16.663606]


def test_google_landmarks_need_coordinates_joined_and_find_their_files(tmp_path):
    row = {"id": ["0123456789abcdef"], "url": ["https://commons.wikimedia.org/wiki/File:X.jpg"], "author": ["Ada"]}
    row |= {"license": ["CC BY 4.0"], "title": ["File:X.jpg"]}
    table = tmp_path / "train_attribution.csv"
    pd.DataFrame(row).to_csv(table, index=False)
    with pytest.raises(ValueError, match="no column for lat, lon"):
        open_dataset(f"gldv2:{table}")
    pd.DataFrame(row | {"lat": [48.0], "lon": [2.0]}).to_csv(table, index=False)
    dataset = open_dataset(f"gldv2:{table}")
    assert dataset.path("0123456789abcdef") == tmp_path / "0" / "1" / "2" / "0123456789abcdef.jpg"
    assert dataset.photos.iloc[0][["photographer", "licence", "source"]].tolist() == ["Ada", "CC BY 4.0", row["url"][0]]


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_says_what_it_is_and_where_to_get_it(name):
    layout = LAYOUTS[name]
    assert layout.title and "http" in layout.get and layout.checked
    with pytest.raises(MissingDataError, match="geolib does not fetch it"):
        open_dataset(name)


# OSV-5M's geocells

# The first rows of the published file, and its last: two cells of which lie far from all others.
QUADTREE = """cluster_id,min_lat,min_lon,max_lat,max_lon,mean_lat,mean_lon
0,-54.887208333333,-176.81130912065618,-21.501435738728247,-87.92788457595303,-43.532155669434445,-175.16965440053036
1,-54.887208333333,-87.92788457595303,-46.54076518468182,-65.70702843977725,-52.83911058720759,-69.97049659752754
2,-54.887208333333,-65.70702843977725,-46.54076518468182,-43.48617230360146,-51.69177829429435,-57.87147149504169
3,-46.54076518468182,-76.81745650786513,-42.36754361035622,-65.70702843977725,-43.064022406687926,-72.08533481128082
11398,61.96299574778362,89.83896451345326,78.655882045086,134.28067678580484,62.917089195898726,126.772205124501
11395,45.27010945048125,156.50153292198064,53.61655259913243,178.7223890581564,53.44356671674289,158.80286473002002
"""


PATH = "/quadtree_10_1000.csv"


@pytest.fixture
def server():
    with Server() as running:
        running.files[PATH] = QUADTREE.encode()
        yield running


def get(server, folder, **changed):
    options = {"sha256": hashlib.sha256(QUADTREE.encode()).hexdigest(), "max_bytes": 10_000} | changed
    return fetch_quadtree(folder, url=server.base + PATH, **options)


@pytest.fixture
def naps(monkeypatch):
    """The seconds that would have been waited."""
    naps = []
    monkeypatch.setattr(time, "sleep", naps.append)
    return naps


def test_the_quadtree_is_fetched_once_checked_and_read(server, tmp_path, capfd):
    told = []
    path, report = get(server, tmp_path, progress=told.append)
    again, _ = get(server, tmp_path)
    assert len(server.asked) == 1 and again == path and len(told) == 1
    assert capfd.readouterr() == ("", ""), "nothing is said but through `progress`"
    assert re.fullmatch(r"geolib/[\d.]+ python-requests/[\d.]+", server.asked[0][2]["User-Agent"])
    assert path.read_text() == QUADTREE and list(tmp_path.iterdir()) == [path]
    cells = read_quadtree(path)
    assert len(cells) == 6 and cells["min_lon"][1] == -87.92788457595303 and cells["mean_lon"][5] == 158.80286473002002
    assert report.cells == 6 and report.overlap == 0
    assert report.photos == 100_000 and report.photos_in_none > 90_000


def test_the_command_line_fetches_the_quadtree_and_says_where_to_get_tables(server, tmp_path, monkeypatch, capsys):
    known = {"url": server.base + PATH, "sha256": hashlib.sha256(QUADTREE.encode()).hexdigest()}
    for name, value in known.items():
        monkeypatch.setitem(fetch_quadtree.__kwdefaults__, name, value)
    assert cli.main(["fetch", "quadtree", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "6 cells\nthe sphere: " in said and "photos: " in said and "quadtree_10_1000.csv" in said
    assert cli.main(["fetch", "look", "im2gps3k"]) == 2
    assert "geolib does not fetch it" in capsys.readouterr().err


def test_a_busy_server_is_asked_again_when_it_says(server, tmp_path, naps):
    server.faults[PATH] = [status(429, Retry_After=7), status(503, Retry_After=9), status(500)]
    assert get(server, tmp_path)[0].is_file()
    assert len(server.asked) == 4 and naps == [7, 9, 4]


@pytest.mark.parametrize("code", [429, 503])
def test_a_server_that_asks_for_a_day_is_left_alone(server, tmp_path, code, naps):
    server.faults[PATH] = [status(code, Retry_After=100_000)]
    with pytest.raises(MissingDataError, match=r"a long wait \(Retry-After: 100000\)"):
        get(server, tmp_path)
    assert len(server.asked) == 1 and list(tmp_path.iterdir()) == [] and naps == []


@pytest.mark.parametrize("code", [403, 404, 410])
def test_a_file_that_is_gone_is_no_file(server, tmp_path, code):
    server.faults[PATH] = [status(code)]
    with pytest.raises(MissingDataError, match=f"could not be fetched: .* HTTP {code}: .*it ") as caught:
        get(server, tmp_path)
    assert "later" not in str(caught.value) and len(server.asked) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_transfer_that_breaks_off_begins_again(server, tmp_path, naps):
    server.faults[PATH] = [cut(200), cut(300)]
    path, _ = get(server, tmp_path)
    assert path.read_text() == QUADTREE and list(tmp_path.iterdir()) == [path]
    server.faults[PATH] = [cut(200)] + [status(503)] * 8
    with pytest.raises(MissingDataError, match=r"in 8 attempts .* run the same command again later"):
        get(server, tmp_path / "other")
    assert list((tmp_path / "other").iterdir()) == []


def test_other_users_may_read_the_file(server, tmp_path):
    before = os.umask(0o027)
    try:
        assert get(server, tmp_path)[0].stat().st_mode & 0o777 == 0o640
    finally:
        os.umask(before)


def test_redirects_stay_on_the_host(server, tmp_path):
    server.faults[PATH] = [redirect("/moved")]
    server.files["/moved"] = QUADTREE.encode()
    assert get(server, tmp_path)[0].read_text() == QUADTREE
    with Server() as other:
        other.files[PATH] = QUADTREE.encode()
        server.faults[PATH] = [redirect(other.base + PATH)]
        with pytest.raises(MissingDataError, match="redirects to a forbidden address"):
            get(server, tmp_path / "elsewhere")
        assert other.asked == [] and list((tmp_path / "elsewhere").iterdir()) == []


def test_another_file_and_an_endless_one_leave_nothing(server, tmp_path):
    with pytest.raises(CorruptFileError, match=r"is not the known file .*expected sha256:0{64}"):
        get(server, tmp_path, sha256="0" * 64)
    with pytest.raises(CorruptFileError, match="larger than 100 bytes"):
        get(server, tmp_path, max_bytes=100)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "quadtree_10_1000.csv").write_text("of another day")
    get(server, tmp_path)
    assert (tmp_path / "quadtree_10_1000.csv").read_text() == QUADTREE, "one that is wrong is replaced"


def cells_of(boxes):
    south, west, north, east = np.array(boxes, float).T
    edges = {"min_lat": south, "min_lon": west, "max_lat": north, "max_lon": east}
    return pd.DataFrame(edges | {"mean_lat": (south + north) / 2, "mean_lon": (west + east) / 2})


def quadrants(points, depth, most, box=(-60.0, -170.0, 70.0, 175.0), full=True):
    """Leaves of a plain recursive quadtree, the empty ones left out as OSV-5M does."""
    south, west, north, east = box
    inside = points[(points[:, 0] >= south) & (points[:, 0] < north) & (points[:, 1] >= west) & (points[:, 1] < east)]
    if not full and not len(inside):
        return []
    if depth == 0 or len(inside) <= most:
        return [box]
    y, x = (south + north) / 2, (west + east) / 2
    parts = [(south, west, y, x), (south, x, y, east), (y, west, north, x), (y, x, north, east)]
    return [leaf for part in parts for leaf in quadrants(inside, depth - 1, most, part, full)]


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.booleans())
def test_photos_and_areas_are_counted_as_a_plain_search_does(seed, depth, full):
    rng = np.random.default_rng(seed)
    points = np.column_stack([rng.uniform(-90, 90, 60), rng.uniform(-180, 180, 60)])
    boxes = np.array(quadrants(points, depth, 3, full=full) or [(0.0, 0.0, 1.0, 1.0)])
    south, west, north, east = boxes.T
    corners = [boxes[:20, :2], boxes[-20:, 2:], [[north.max(), east.max()]]]  # they are in at most one cell, too
    lat, lon = np.vstack([points, *corners]).T
    y, x = lat[:, None], lon[:, None]
    holds = (y >= south) & ((y < north) | ((north == north.max()) & (y == north)))
    holds &= (x >= west) & ((x < east) | ((east == east.max()) & (x == east)))
    report = check_quadtree(cells_of(boxes), lat, lon)
    assert (report.photos, report.photos_in_none) == (len(lat), (holds.sum(axis=1) == 0).sum())
    assert report.photos_in_several == 0 and report.overlap == 0
    photo, cell = holds.nonzero()
    if len(photo):
        km = sphere.haversine_km(lat[photo], lon[photo], (south + north)[cell] / 2, (west + east)[cell] / 2)
        assert report.floor_km == pytest.approx(np.median(km))
    sphere_km2 = 4 * np.pi * sphere.EARTH_RADIUS_KM**2
    covered_km2 = sphere.rectangle_area_km2(south, west, north, east).sum()
    assert report.gap == pytest.approx(1 - covered_km2 / sphere_km2, abs=1e-9)


def test_overlaps_are_seen():
    cells = cells_of([(0.0, 0.0, 40.0, 40.0), (0.0, 20.0, 40.0, 60.0)])
    report = check_quadtree(cells, [10.0, 10.0, 10.0], [10.0, 30.0, 90.0])
    assert report.overlap == pytest.approx(20 * np.sin(np.radians(40)) / 720)
    assert (report.photos_in_none, report.photos_in_several) == (1, 1)
    assert "1 of 3 (33.33%) in no cell, 1 in several" in str(report)


def test_our_own_tree_leaves_out_nothing_and_holds_nothing_twice():
    rng = np.random.default_rng(0)
    lat, lon = rng.uniform(-80, 80, 500), rng.uniform(-180, 180, 500)
    tree = GeocellTree.fit(lat, lon, (4, 16), min_photos=5)
    pieces = [piece for shape in tree.polygons(-1) for piece in getattr(shape, "geoms", [shape])]
    for piece in pieces:
        assert piece.area == pytest.approx(piece.envelope.area)
    report = check_quadtree(cells_of([(b[1], b[0], b[3], b[2]) for b in (piece.bounds for piece in pieces)]), lat, lon)
    assert (report.gap, report.overlap, report.photos_in_none, report.photos_in_several) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("old", "new"),
    [("min_lat", "south"), ("-54.887208333333,-87", "99,-87"), ("-46.54076518468182,-43", "-60,-43"), ("\n3,", "\n2,"),
     ("-52.83911058720759", "nan"), ("-176.81130912065618", "west"), (QUADTREE[68:], ""), (QUADTREE, "\x00\xff")],
)  # fmt: skip
def test_files_that_are_no_quadtree_are_refused(tmp_path, old, new):
    assert old in QUADTREE
    (tmp_path / "q.csv").write_text(QUADTREE.replace(old, new))
    with pytest.raises(CorruptFileError, match=r"q\.csv"):
        read_quadtree(tmp_path / "q.csv")


def test_a_quadtree_that_is_not_here_says_how_to_get_it():
    with pytest.raises(MissingDataError, match="python -m geolib fetch quadtree"):
        read_quadtree()


# Folders of photos, HEIC among them

PLACE = {
    ExifTags.GPS.GPSLatitudeRef: "N",
    ExifTags.GPS.GPSLatitude: (46.0, 30.0, 36.0),
    ExifTags.GPS.GPSLongitudeRef: "E",
    ExifTags.GPS.GPSLongitude: (6.0, 0.0, 0.0),
}


def pixels(seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (6, 8, 3), np.uint8)).resize((80, 60))


def with_place():
    exif = Image.Exif()
    exif[ExifTags.IFD.GPSInfo] = PLACE
    exif[ExifTags.Base.Artist] = "Ada"
    return exif


def write_heic(path, exif):
    heif = pytest.importorskip("pillow_heif")
    heif.from_pillow(pixels()).save(path, exif=exif.tobytes() if exif else None, quality=90)
    return path


def test_heic_photos_give_their_place_and_their_pixels(tmp_path):
    write_heic(tmp_path / "IMG_1.HEIC", with_place())
    write_heic(tmp_path / "IMG_2.heic", None)
    dataset = open_dataset("folder", path=tmp_path)
    assert dataset.photos.loc["IMG_1.HEIC", ["lat", "lon", "author"]].tolist() == [pytest.approx(46.51), 6.0, "Ada"]
    assert len(dataset) == 1
    difference = np.abs(dataset.image("IMG_1.HEIC").astype(int) - np.asarray(pixels()))
    assert difference.shape == (60, 80, 3) and difference.mean() < 12


def test_a_turned_heic_photo_is_upright(tmp_path):
    exif = with_place()
    exif[ExifTags.Base.Orientation] = 6
    upright = load_rgb(write_heic(tmp_path / "a.heic", exif))
    expected = np.asarray(pixels().transpose(Image.Transpose.ROTATE_270)).astype(int)
    assert upright.shape == expected.shape and np.abs(upright - expected).mean() < 12


def test_damaged_heic_photos_are_refused_in_words(tmp_path, monkeypatch):
    content = write_heic(tmp_path / "a.heic", with_place()).read_bytes()
    for size in (12, 40, 300, len(content) - 40):
        with pytest.raises(ImageError, match="damaged or cut short"):
            load_rgb(content[:size])
    monkeypatch.setattr("geolib.images.MAX_PIXELS", 100)
    with pytest.raises(ImageError, match="over the limit of 100"):
        load_rgb(content)


def test_without_pillow_heif_the_files_are_counted_and_the_mend_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # what an import of it then raises is an ImportError
    heic = b"\x00\x00\x00\x18ftypheic" + b"\0" * 100
    (tmp_path / "IMG_1.HEIC").write_bytes(heic)
    with pytest.raises(ValueError, match=r"none of the 1 pictures .*1 HEIC files \(`pip install pillow-heif`"):
        open_dataset("folder", path=tmp_path)
    pixels().save(tmp_path / "b.jpg", exif=with_place())
    (tmp_path / "IMG_2.heic").write_bytes(heic)
    with pytest.warns(UserWarning, match=r"2 left out: HEIC files \(`pip install pillow-heif`"):
        assert open_dataset("folder", path=tmp_path).photos.index.tolist() == ["b.jpg"]
    with pytest.raises(ImageError, match=r"IMG_1\.HEIC is a HEIC photo: `pip install pillow-heif`"):
        load_rgb(tmp_path / "IMG_1.HEIC")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    encoder = Encoder.load(tiny.write_encoder(tmp_path_factory.mktemp("encoder")), device="cpu")
    vectors, lat, lon = tiny.world(dim=encoder.dim)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Geolocator.fit(encoder, vectors, lat, lon, cells_per_level=(4, 12), seed=0)


def write_kind(path, kind, exif):
    if kind == "HEIC":
        return write_heic(path, exif)
    pixels().save(path, kind, **({"exif": exif} if exif else {}), **({"lossless": True} if kind == "WEBP" else {}))
    return path


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIC"])
def test_gps_in_exif_changes_no_bit_of_a_prediction(model, kind, tmp_path):
    plain = write_kind(tmp_path / f"plain.{kind.lower()}", kind, None)
    tagged = write_kind(tmp_path / f"tagged.{kind.lower()}", kind, with_place())
    assert folder.read_label(plain)[-1] == "without coordinates in the EXIF"
    assert folder.read_label(tagged)[:3] == (pytest.approx(46.51), 6.0, "Ada"), "the label is there to be found"
    other = io.BytesIO()
    pixels(seed=1).save(other, "PNG")
    first, second, third = (model.predict(photo) for photo in (plain, tagged, other.getvalue()))
    assert (first.lat, first.lon) == (second.lat, second.lon)
    np.testing.assert_array_equal(first.posterior, second.posterior)
    assert not np.array_equal(first.posterior, third.posterior), "it does look at the pixels"
    assert sphere.haversine_km(first.lat, first.lon, 46.51, 6.0) > 1


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_every_kind_gives_its_place_in_a_fresh_process(kind, tmp_path):
    """Which plugins Pillow has loaded depends on what was opened before: a PNG lost its place where MPO was unknown."""
    write_kind(tmp_path / f"a.{kind.lower()}", kind, with_place())
    code = f"from geolib.datasets import open_dataset as o; print(o('folder', path={str(tmp_path)!r}).photos.index[0])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == f"a.{kind.lower()}"
