"""OSV-5M from a local server that speaks the Hugging Face hub's protocol, through huggingface_hub itself."""

import collections
import hashlib
import io
import itertools
import json
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import huggingface_hub.constants
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import geolib.__main__ as cli
from geolib.common.download import DownloadError, UnavailableError
from geolib.common.errors import CorruptFileError, GeolibError, MissingDataError
from geolib.datasets import archives, open_dataset, osv5m
from geolib.datasets.archives import unpack_pictures
from geolib.datasets.osv5m import fetch_osv5m, format_osv5m
from geolib.sphere import haversine_km

COMMIT, OTHER = "a" * 40, "b" * 40
# The columns of the published tables, as the dataset's own loader names them.
HEADER = """
id latitude longitude thumb_original_url country sequence captured_at lon_bin lat_bin cell region sub-region city
land_cover road_index drive_side climate soil dist_sea quadtree_10_5000 quadtree_10_25000 quadtree_10_1000
quadtree_10_50000 quadtree_10_12500 quadtree_10_500 quadtree_10_2500 unique_region unique_sub-region unique_city
unique_country creator_username creator_id
""".split()  # noqa: SIM905  a list literal of so many takes a line each


def row(photo, lat, lon, who="", country="NZ", **more):
    known = {"id": photo, "latitude": lat, "longitude": lon, "unique_country": country, "country": country}
    known |= {"creator_id": who, "creator_username": who and f"user {who}", "cell": "(0, 8)", "sequence": f"s{photo}"}
    return dict.fromkeys(HEADER, "") | known | more


def csv(rows):
    return pd.DataFrame(rows, columns=HEADER).to_csv(index=False).encode()


def jpeg(seed):
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (9, 9, 3), np.uint8)
    Image.fromarray(pixels).resize((96, 72)).save(stream, "JPEG")
    return stream.getvalue()


def archive(shard, photos):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as opened:
        opened.writestr(f"{shard}/", b"")
        for photo, content in photos.items():
            opened.writestr(f"{shard}/{photo}.jpg", content)
    return stream.getvalue()


def repository():
    """A small OSV-5M: three shards of train, two of test, with the faults of real data."""
    rng = np.random.default_rng(0)
    ids = {("train", n): [str(3859149887460000 + 100 * n + k) for k in range(20)] for n in range(3)}
    ids |= {("test", n): [str(9859149887460000 + 100 * n + k) for k in range(6)] for n in range(2)}
    rows = {"train": [], "test": []}
    for (side, _), photos in ids.items():
        for photo in photos:
            who, lat, lon = str(rng.integers(1, 30)), rng.uniform(-60, 70), rng.uniform(-180, 180)
            rows[side].append(row(photo, lat, lon, who, country=["NZ", "FR", "KE"][rng.integers(3)]))
    rows["train"].append(row("1", 0, 0))  # a row without a picture
    rows["train"][1] |= {"latitude": "", "creator_id": ""}  # no coordinates
    rows["train"][2] |= {"latitude": "95"}
    rows["train"][3] |= {"latitude": "north"}
    rows["train"][4] |= {"creator_id": "", "creator_username": "", "unique_country": ""}
    rows["train"].append(dict(rows["train"][5]))  # a row that is there twice
    del rows["train"][6]  # a picture without a row
    pictures = {photo: jpeg(seed) for seed, photo in enumerate(itertools.chain.from_iterable(ids.values()))}
    pictures[ids["train", 0][8]] = pictures[ids["train", 0][7]]  # the same picture twice
    pictures[ids["train", 0][9]] = b"<html>gone</html>"
    files = {f"{side}.csv": csv(rows[side]) for side in rows}
    for (side, n), photos in ids.items():
        files[f"images/{side}/{n:02}.zip"] = archive(f"{n:02}", {photo: pictures[photo] for photo in photos})
    return files


class Hub(ThreadingHTTPServer):
    """The hub or its store of large files: `listing` is what it says, `files` what it sends, `plan` what goes wrong."""

    def __init__(self, files, cdn=None):
        self.listing, self.files, self.cdn, self.commit = dict(files), dict(files), cdn, COMMIT
        self.plan, self.log, self.unhashed = collections.defaultdict(list), [], set()
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def asked(self, method, ending):
        return sum(m == method and path.endswith(ending) for m, path in self.log)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        hub, path = self.server, urlsplit(self.path).path
        hub.log.append((self.command, path))
        if "authorization" in {name.lower() for name in self.headers}:
            return self.answer(418, {})  # no token leaves this machine
        if path.startswith("/api/datasets/osv5m/osv5m/revision/"):
            return self.send_listing(path.rsplit("/", 1)[1])
        name = path.split(f"/resolve/{hub.commit}/", 1)[-1] if "/resolve/" in path else path.removeprefix("/cdn/")
        if name not in hub.files:
            return self.answer(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": hub.commit})
        if "/resolve/" in path and (problem := self.problem(f"head of {name}")):
            return self.refuse(problem)
        if "/resolve/" in path:
            sha256 = hashlib.sha256(hub.listing[name]).hexdigest()
            headers = {"Location": f"{(hub.cdn or hub).url}/cdn/{name}", "X-Linked-Etag": f'"{sha256}"'}
            headers |= {"X-Linked-Size": str(len(hub.listing[name])), "X-Repo-Commit": hub.commit}
            return self.answer(302, headers)
        return self.send_file(name, hub.files[name], {"Accept-Ranges": "bytes"})

    def send_listing(self, revision):
        hub = self.server
        if parse_qs(urlsplit(self.path).query).get("blobs") not in (["true"], ["True"]):
            return self.answer(400, {})  # without it, neither sizes nor hashes are listed
        if problem := self.problem("listing"):
            return self.refuse(problem)
        if revision not in ("main", hub.commit):
            return self.answer(404, {"X-Error-Code": "RevisionNotFound"})
        siblings = [{"rfilename": "README.md", "size": 3, "blobId": "c" * 40}]
        siblings += [{"rfilename": "images/train/../../evil.zip", "size": 3, "blobId": "c" * 40}]
        for name, content in hub.listing.items():
            sha256 = hashlib.sha256(content).hexdigest()
            lfs = {"size": len(content), "sha256": sha256, "pointerSize": 134}
            siblings.append({"rfilename": name, "size": len(content), "blobId": "d" * 40, "lfs": lfs})
            if name in hub.unhashed:
                del siblings[-1]["lfs"]
        body = json.dumps({"id": "osv5m/osv5m", "sha": hub.commit, "siblings": siblings}).encode()
        self.answer(200, {"Content-Type": "application/json"}, body)

    def send_file(self, name, content, headers):
        problem = self.problem(name) if self.command == "GET" else None
        if problem and problem != "cut":
            return self.refuse(problem, headers)
        start = 0
        if asked := self.headers.get("Range"):
            start = int(asked.removeprefix("bytes=").split("-")[0])
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        if problem == "cut":
            self.close_connection = True
            self.answer(206 if start else 200, headers, content[start:], cut=(len(content) - start) // 2)
        else:
            self.answer(206 if start else 200, headers, content[start:])

    def problem(self, what):
        return self.server.plan[what].pop(0) if self.server.plan[what] else None

    def refuse(self, problem, headers=None):
        """`problem` is a status code, or one and the seconds to wait."""
        status, wait = problem if isinstance(problem, tuple) else (problem, 1)
        return self.answer(status, (headers or {}) | {"Retry-After": str(wait)})

    def answer(self, status, headers, body=b"", cut=None):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:cut])

    def log_message(self, *args):
        pass


pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # of sockets that a test cuts


@pytest.fixture(scope="module")
def files():
    return repository()


@pytest.fixture
def hub(files, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", "hf_not_for_anyone")
    with Hub({}) as cdn, Hub(files, cdn) as running:
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", running.url)
        template = running.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        cdn.listing, cdn.files, cdn.plan, cdn.log = running.listing, running.files, running.plan, running.log
        yield running
        running.shutdown()
        cdn.shutdown()


@pytest.fixture(autouse=True)
def naps(monkeypatch):
    """The seconds that geolib and huggingface_hub would have waited."""
    naps = []
    monkeypatch.setattr(time, "sleep", naps.append)
    return naps


def fetch(hub, folder, *shards, **options):
    return fetch_osv5m(*shards, folder=folder, **options)


def test_two_shards_of_each_side_come_and_open_as_a_dataset(hub, tmp_path):
    told = []
    report = fetch(hub, tmp_path, 2, progress=told.append)
    assert (report["revision"], report["shards"]) == (COMMIT, {"train": 2, "test": 2})
    # 40 training pictures less one that is none, one without a row and three without coordinates.
    assert (report["photos"], report["countries"]) == (47, 3)
    assert (
        sum(report["sides"].values()) == 47
        and report["sides"]["test"] == 12
        and report["licences"] == {"CC BY-SA 4.0": 47}
    )
    assert report["refused"] == {
        "a row twice in the table": 1,
        "no coordinates on the Earth": 3,
        "no readable JPEG": 1,
        "no row in the table": 1,
    }
    assert report["near_duplicates"] == 1
    assert "4 shards to come" in told[1] and "47 photos, 3 countries" in format_osv5m(report)
    assert f"main is commit {COMMIT}" in told[0]
    dataset = open_dataset(f"osv5m:{tmp_path}")
    photos = dataset.photos
    assert len(dataset) == 47 and report["bytes"] == sum(dataset.path(photo).stat().st_size for photo in photos.index)
    assert dataset.image(photos.index[0]).shape == (72, 96, 3)
    assert photos["source"].unique().tolist() == ["Mapillary, through OSV-5M"]
    assert photos.loc["3859149887460004", ["photographer", "author", "country"]].tolist() == ["", "", ""]
    one = photos.loc["3859149887460000"]
    assert one["author"] == f"user {one['photographer']}" and one["sequence"] == "s3859149887460000"
    assert f"{one['author']}, CC BY-SA 4.0, Mapillary" in dataset.credits([one.name])
    assert photos.loc[photos["published_side"] == "test", "split"].eq("test").all()


def test_calibration_shares_no_photographer_with_train_and_keeps_a_distance(hub, tmp_path):
    fetch(hub, tmp_path)
    photos = open_dataset(f"osv5m:{tmp_path}").photos
    side, train = photos["split"], photos["published_side"] == "train"
    assert set(side[train]) <= {"train", "calibration", "development", "left_out"}
    assert side[train].eq("calibration").any()
    kept = photos[train & (side != "left_out")]
    named = kept[kept["photographer"] != ""]
    assert (named.groupby("photographer")["split"].nunique() == 1).all()
    ours, others = kept[kept["split"] == "train"], kept[kept["split"] != "train"]
    km = haversine_km(*others[["lat", "lon"]].to_numpy().T[..., None], ours["lat"].to_numpy(), ours["lon"].to_numpy())
    assert km.min() > 0.5


def test_a_second_call_fetches_only_what_is_new_at_the_same_commit(hub, tmp_path):
    fetch(hub, tmp_path, 1)
    hub.log.clear()
    fetch(hub, tmp_path, 1)
    assert not [entry for entry in hub.log if entry[1].endswith(".zip") or "/api/" in entry[1]]
    hub.commit, hub.listing["images/train/01.zip"] = OTHER, b"of another day"  # main has moved on
    hub.commit = COMMIT
    hub.listing["images/train/01.zip"] = hub.files["images/train/01.zip"]
    report = fetch(hub, tmp_path, 2)
    assert (
        report["revision"] == COMMIT and hub.asked("GET", "train/01.zip") == 1 and hub.asked("GET", "train/00.zip") == 0
    )
    assert not list((tmp_path / COMMIT / "downloads").rglob("*.zip")), "an archive goes once it is unpacked"


class Named:
    """Stands in for an encoder."""

    fingerprint = "x"


def test_the_commit_is_looked_up_once_and_kept_until_another_is_asked_for(hub, tmp_path):
    fetch(hub, tmp_path, 1)
    before = open_dataset(f"osv5m:{tmp_path}").key(Named)
    hub.commit = OTHER
    assert json.loads((tmp_path / "manifest.json").read_text())["revision"] == COMMIT
    report = fetch(hub, tmp_path, 1, revision="main")
    assert report["revision"] == OTHER and (tmp_path / COMMIT).is_dir()
    assert open_dataset(f"osv5m:{tmp_path}").key(Named) != before
    with pytest.raises(DownloadError, match="cannot be fetched"):
        fetch(hub, tmp_path, 1, revision="no-such-branch")


def test_a_kill_between_and_inside_shards_is_resumed(hub, tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    folders = []

    def killed_at_the_second(archive, folder, **options):
        unpacked = unpack_pictures(archive, folder, **options)
        folders.append(folder)
        if len(folders) == 2:
            for picture in sorted(folder.iterdir())[8:]:  # as of a kill after eight pictures
                picture.unlink()
            raise Killed
        return unpacked

    monkeypatch.setattr(osv5m, "unpack_pictures", killed_at_the_second)
    with pytest.raises(Killed):
        fetch(hub, tmp_path, 2)
    with pytest.raises(MissingDataError, match="to its end"):
        open_dataset(f"osv5m:{tmp_path}")
    hub.log.clear()
    report = fetch(hub, tmp_path, 2)
    assert report["photos"] == 47 and hub.asked("GET", "train/00.zip") == 0
    whole = fetch(hub, tmp_path / "whole", 2)
    assert report == whole
    one, two = (open_dataset(f"osv5m:{folder}").photos for folder in (tmp_path, tmp_path / "whole"))
    pd.testing.assert_frame_equal(one, two)


def test_a_folder_that_lost_pictures_is_fetched_again(hub, tmp_path):
    fetch(hub, tmp_path, 1)
    open_dataset(f"osv5m:{tmp_path}").path("3859149887460000").unlink()
    hub.log.clear()
    fetch(hub, tmp_path, 1)
    assert hub.asked("GET", "train/00.zip") == 1 and hub.asked("GET", "test/00.zip") == 0
    assert open_dataset(f"osv5m:{tmp_path}").path("3859149887460000").is_file()


def test_a_transfer_that_breaks_off_resumes_by_range(hub, tmp_path):
    hub.plan["images/train/00.zip"] = ["cut", "cut"]
    assert fetch(hub, tmp_path, 1)["photos"] == 21
    assert hub.asked("GET", "train/00.zip") == 3


@pytest.mark.parametrize("status", [429, 503, 500])
def test_a_busy_hub_is_asked_again_and_then_left_alone(hub, tmp_path, status, naps):
    hub.plan["listing"], hub.plan["images/train/00.zip"] = [status] * 2, [status]
    assert fetch(hub, tmp_path, 1)["photos"] == 21
    assert naps[:2] == [1, 2] and sum(naps) < 10
    hub.plan["listing"] = [status] * 99
    with pytest.raises(UnavailableError, match="run the same command again later"):
        fetch(hub, tmp_path / "other", 1)
    assert not (tmp_path / "other" / "manifest.json").exists()


@pytest.mark.parametrize("what", ["listing", "images/train/00.zip", "train.csv"])
def test_a_busy_hub_is_asked_again_when_it_says(hub, tmp_path, what, naps):
    hub.plan[what] = [(503, 90), (503, 3)]
    assert fetch(hub, tmp_path, 1)["photos"] == 21
    assert naps == [90, 3]
    hub.commit, hub.plan[what] = OTHER, [(503, 20_000)]
    with pytest.raises(UnavailableError, match=r"a long wait \(Retry-After: 20000\)"):
        fetch(hub, tmp_path, 1, revision="main")
    assert naps == [90, 3]


def test_the_hubs_own_client_does_not_wait_for_hours_either(hub, tmp_path, naps):
    hub.plan["images/train/00.zip"] = [(429, 20_000)]
    with pytest.raises(UnavailableError, match=r"a long wait \(Retry-After: 20000\)"):
        fetch(hub, tmp_path, 1)
    assert naps == []


def test_a_hub_that_is_busy_before_a_file_is_asked_again(hub, tmp_path):
    hub.plan["head of images/train/00.zip"], hub.plan["head of test.csv"] = [503, 503], [429]
    assert fetch(hub, tmp_path, 1)["photos"] == 21
    assert hub.asked("HEAD", "train/00.zip") == 3


def test_a_shard_that_is_gone_is_said_and_the_others_stay(hub, tmp_path):
    fetch(hub, tmp_path, 1)
    hub.plan["images/train/01.zip"] = [410]
    report = fetch(hub, tmp_path, 2)
    why = "images/train/01.zip cannot be fetched: HTTP 410: it was removed for good"
    assert report["refused_shards"]["images/train/01.zip"].startswith(why) and why in format_osv5m(report)
    assert (
        report["shards"] == {"train": 1, "test": 2} and len(open_dataset(f"osv5m:{tmp_path}")) == report["photos"] == 27
    )
    content = hub.files.pop("images/train/01.zip")
    assert list(fetch(hub, tmp_path, 2)["refused_shards"]) == ["images/train/01.zip"]
    hub.files["images/train/01.zip"] = content
    report = fetch(hub, tmp_path, 2)
    assert report["refused_shards"] == {} and len(open_dataset(f"osv5m:{tmp_path}")) == 47, "it is asked for each time"


def test_a_shard_that_lost_pictures_and_is_gone_since_leaves_the_table(hub, tmp_path):
    fetch(hub, tmp_path, 2)
    open_dataset(f"osv5m:{tmp_path}").path("3859149887460000").unlink()
    hub.plan["images/train/00.zip"] = [410]
    assert list(fetch(hub, tmp_path, 2)["refused_shards"]) == ["images/train/00.zip"]
    dataset = open_dataset(f"osv5m:{tmp_path}")
    assert all(dataset.path(photo).is_file() for photo in dataset.photos.index) and len(dataset) == 32
    fetch(hub, tmp_path, 2)
    assert len(open_dataset(f"osv5m:{tmp_path}")) == 47


def test_where_nothing_can_be_had_it_is_an_error(hub, tmp_path):
    hub.plan["images/train/00.zip"], hub.plan["images/test/00.zip"] = [410], [403]
    with pytest.raises(DownloadError, match=r"images/train/00\.zip cannot be fetched: HTTP 410"):
        fetch(hub, tmp_path, 1)
    with pytest.raises(MissingDataError, match="to its end"):
        open_dataset(f"osv5m:{tmp_path}")


def test_a_hub_that_is_down_ends_the_run_and_loses_nothing(hub, tmp_path):
    hub.plan["images/train/01.zip"] = [503] * 99
    with pytest.raises(UnavailableError, match="run the same command again later"):
        fetch(hub, tmp_path, 2)
    hub.plan.clear()
    hub.log.clear()
    assert fetch(hub, tmp_path, 2)["photos"] == 47 and hub.asked("GET", "train/00.zip") == 0


@pytest.mark.parametrize("name", ["images/train/00.zip", "train.csv"])
def test_content_that_is_not_as_listed_never_gets_in(hub, tmp_path, name):
    good = hub.files[name]
    hub.files[name] = good[:-1] + bytes([good[-1] ^ 1])  # the same length
    told, why = [], f"{name} of osv5m/osv5m came twice"
    if name == "train.csv":
        with pytest.raises(CorruptFileError, match=why):
            fetch(hub, tmp_path, 1, progress=told.append)
        assert not list(tmp_path.rglob("photos.parquet"))
    else:
        report = fetch(hub, tmp_path, 1, progress=told.append)
        assert report["refused_shards"][name].startswith(why) and report["sides"] == {"test": 6}
    assert hub.asked("GET", name) == 2 and sum("its sha256 is not the one" in line for line in told) == 2
    assert not [path for path in tmp_path.rglob("*.jpg") if path.parent.parent.name == "train"]
    hub.files[name] = good
    assert fetch(hub, tmp_path, 1)["photos"] == 21


def test_a_hostile_shard_is_unpacked_without_leaving_its_folder(hub, tmp_path):
    good = jpeg(1)
    entries = {"../../../escape": good, "/tmp/escape": good, "00/3859149887460000": good, "00/not-digits": good}
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as opened:
        for name in entries:
            opened.writestr(f"{name}.jpg", entries[name])
    hub.listing["images/train/00.zip"] = hub.files["images/train/00.zip"] = content.getvalue()
    with pytest.warns(UserWarning, match="no calibration side"):  # a single photo trains
        report = fetch(hub, tmp_path / "deep" / "home", 1)
    refused = {"a name that leads out of the folder": 1, "an absolute name": 1, "a name that is no id": 1}
    assert report["refused"].items() >= refused.items()
    assert (
        not list(tmp_path.rglob("escape*"))
        and report["sides"].get("train", 0) + report["sides"].get("calibration", 0) == 1
    )


def test_a_shard_that_unpacks_to_terabytes_is_refused(hub, tmp_path, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(CorruptFileError, match="unpacks to more than 5,000 bytes"):
        patch.setattr(archives, "MAX_TOTAL_BYTES", 5_000)
        fetch(hub, tmp_path, 1)
    assert not list(tmp_path.rglob("photos.parquet")) and not list(tmp_path.rglob("*.jpg"))
    assert not list(tmp_path.rglob("*.zip"))
    with monkeypatch.context() as patch:
        patch.setattr(archives, "MAX_ENTRIES", 10)
        report = fetch(hub, tmp_path, 1)
    assert "21 entries, over the limit of 10" in report["refused_shards"]["images/train/00.zip"]
    assert report["shards"] == {"train": 0, "test": 1} and report["sides"] == {"test": 6}, "the others are kept"
    report = fetch(hub, tmp_path, 1)
    assert report["photos"] == 21 and report["refused_shards"] == {}
    assert hub.asked("GET", "test/00.zip") == 2


def test_words_that_stand_for_nothing_elsewhere_are_kept(hub, tmp_path):
    frame = pd.read_csv(io.BytesIO(hub.files["test.csv"]), dtype=str, keep_default_na=False)
    frame.loc[0, ["unique_country", "country", "creator_username", "creator_id"]] = ["NA", "NA", "null", "NULL"]
    frame.loc[1, ["city", "region", "creator_username"]] = ["None", "nan", "#N/A"]
    frame.loc[2, "latitude"], frame.loc[3, "longitude"], frame.loc[4, "latitude"] = "NA", "nan", "inf"
    hub.listing["test.csv"] = hub.files["test.csv"] = frame.to_csv(index=False).encode()
    report = fetch(hub, tmp_path, 1)
    photos = open_dataset(f"osv5m:{tmp_path}").photos
    namibia = photos.loc[frame["id"][0]]
    assert namibia[["country", "author", "photographer"]].tolist() == ["NA", "null", ""], "NULL is no photographer"
    assert photos.loc[frame["id"][1], ["city", "region", "author"]].tolist() == ["None", "nan", "#N/A"]
    assert report["refused"]["no coordinates on the Earth"] == 3 + 3 and not set(frame["id"][2:5]) & set(photos.index)


def test_a_picture_that_is_in_two_shards_is_one_photo(hub, tmp_path):
    for number in (0, 1):
        name, photos = f"images/test/{number:02}.zip", {f"{9859149887460000 + k}": jpeg(k) for k in range(6)}
        hub.listing[name] = hub.files[name] = archive(f"{number:02}", photos)
    report = fetch(hub, tmp_path, 2)
    assert report["shards"]["test"] == 2 and report["sides"]["test"] == 6


def test_a_table_without_photographers_opens(hub, tmp_path):
    for name in ("train.csv", "test.csv"):
        frame = pd.read_csv(io.BytesIO(hub.files[name]), dtype=str)[["id", "latitude", "longitude", "country"]]
        hub.listing[name] = hub.files[name] = frame.to_csv(index=False).encode()
    report = fetch(hub, tmp_path, 1)
    assert (report["photographers"], report["countries"]) == (0, 3)
    hub.commit, hub.listing["test.csv"] = OTHER, b"id,latitude\n1,2\n"
    hub.files["test.csv"] = hub.listing["test.csv"]
    with pytest.raises(CorruptFileError, match="has no column longitude"):
        fetch(hub, tmp_path, 1, revision=OTHER)


@pytest.mark.parametrize("missing", ["train.csv", "images"])
def test_a_repository_that_is_another_is_refused(hub, tmp_path, missing):
    for name in [name for name in hub.listing if name.startswith(missing)]:
        del hub.listing[name]
    with pytest.raises(DownloadError, match="has no "):
        fetch(hub, tmp_path, 1)


def test_a_disk_that_is_too_small_is_said_before_the_first_byte(hub, tmp_path, monkeypatch):
    usage = collections.namedtuple("usage", "total used free")
    monkeypatch.setattr(osv5m.shutil, "disk_usage", lambda path: usage(10, 9, 1))
    with pytest.raises(GeolibError, match="ask for fewer shards"):
        fetch(hub, tmp_path)
    assert not [path for _, path in hub.log if "/api/" not in path]


def test_a_file_without_a_hash_is_refused(hub, tmp_path):
    hub.unhashed = {"test.csv"}
    with pytest.raises(DownloadError, match=r"lists test\.csv without size or sha256"):
        fetch(hub, tmp_path, 1)


def test_offline_and_unfetched_are_said(tmp_path):
    with pytest.raises(DownloadError, match="offline"):
        fetch_osv5m(1, folder=tmp_path)
    with pytest.raises(MissingDataError, match="geolib fetch osv5m --shards 1"):
        open_dataset(f"osv5m:{tmp_path}")
    with pytest.raises(ValueError, match="expected at least 1"):
        fetch_osv5m(0, folder=tmp_path)
    (tmp_path / "manifest.json").write_text('{"revision": "../.."}')
    with pytest.raises(CorruptFileError, match="names no commit"):
        open_dataset(f"osv5m:{tmp_path}")


def test_the_command_line_fetches_and_reports(hub, tmp_path, capsys):
    assert cli.main(["fetch", "osv5m", "--shards", "1", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert "21 photos, 3 countries" in said.out and f"as osv5m:{tmp_path}" in said.out
    assert "2 shards to come" in said.err
    assert len(open_dataset(f"osv5m:{tmp_path}")) == 21
    assert cli.main(["fetch", "osv5m", "--shards", "0"]) == 2
    assert "shards=0: expected at least 1" in capsys.readouterr().err
    hub.plan["images/train/01.zip"] = [410]
    assert cli.main(["fetch", "osv5m", "--shards", "2", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "27 photos" in said and "a shard is left out: images/train/01.zip cannot be fetched: HTTP 410" in said
    assert f"OSV-5M at commit {COMMIT}: " in said, "the whole of it, to be shared"
    assert cli.main(["fetch", "osv5m", "--shards", "1", "--out", str(tmp_path), "--revision", OTHER]) == 2
    assert f"osv5m/osv5m at {OTHER} cannot be fetched: HTTP 404" in capsys.readouterr().err
    hub.commit = OTHER
    assert cli.main(["fetch", "osv5m", "--shards", "1", "--out", str(tmp_path), "--revision", OTHER]) == 0
    assert f"OSV-5M at commit {OTHER}: " in capsys.readouterr().out
