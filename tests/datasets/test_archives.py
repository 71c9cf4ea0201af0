"""Unpacking zip archives: whole ones, damaged ones, and hostile ones made here."""

import contextlib
import functools
import io
import stat
import struct
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from geolib.common.errors import CorruptFileError
from geolib.datasets import archives
from geolib.datasets.archives import unpack_pictures


def jpeg(seed=0, size=(24, 16), **options):
    pixels = np.random.default_rng(seed).integers(0, 255, (4, 6, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).resize(size).save(stream, "JPEG", **options)
    return stream.getvalue()


def write_zip(path, entries, method=zipfile.ZIP_DEFLATED):
    """A zip of {name or ZipInfo: bytes}, or of pairs where a name comes twice."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in entries.items() if isinstance(entries, dict) else entries:
            archive.writestr(name, content)
    return path


def files_below(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_pictures_come_out_under_their_ids(tmp_path):
    first, second = jpeg(1), jpeg(2)
    archive = write_zip(tmp_path / "00.zip", {"00/": b"", "00/123.jpg": first, "00/45_a-B.JPEG": second})
    photos, refused = unpack_pictures(archive, tmp_path / "out")
    assert photos.index.tolist() == ["123", "45_a-B"] and not refused
    assert photos["bytes"].tolist() == [len(first), len(second)]
    assert (tmp_path / "out" / "123.jpg").read_bytes() == first
    assert files_below(tmp_path / "out") == ["123.jpg", "45_a-B.jpg"]


def linked(name, target):
    entry = zipfile.ZipInfo(name)
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


HOSTILE = {
    "../escape.jpg": "a name that leads out of the folder",
    "a/../../escape.jpg": "a name that leads out of the folder",
    "..\\escape.jpg": "a name that leads out of the folder",
    "/tmp/escape.jpg": "an absolute name",
    "\\\\server\\escape.jpg": "an absolute name",
    "C:\\escape.jpg": "an absolute name",
    "escape.jpg:stream.jpg": "an absolute name",
    "a\nb.jpg": "control characters in its name",
    "a\\b.jpg": "a name that is no id",
    "a b.jpg": "a name that is no id",
    "é.jpg": "a name that is no id",
    ".jpg": "not called .jpg",
    "x.jpg.exe": "not called .jpg",
    "x" * 101 + ".jpg": "a name that is no id",
}


@pytest.mark.parametrize(("name", "reason"), HOSTILE.items())
def test_a_hostile_name_is_refused_and_the_others_are_kept(tmp_path, name, reason):
    entry = zipfile.ZipInfo("y")
    entry.filename = name  # ZipInfo would mend some of them
    archive = write_zip(tmp_path / "a.zip", [(entry, jpeg()), ("good.jpg", jpeg())])
    inside = tmp_path / "deep" / "out"
    photos, refused = unpack_pictures(archive, inside)
    assert refused == ({reason: 1} if name != ".jpg" else {"a name that is no id": 1})
    assert photos.index.tolist() == ["good"]
    assert files_below(tmp_path) == ["a.zip", "deep/out/good.jpg"]


def test_a_name_cut_by_a_zero_byte_is_refused(tmp_path):
    archive = write_zip(tmp_path / "a.zip", {"abcd.jpg!.jpg": jpeg()})
    archive.write_bytes(archive.read_bytes().replace(b"abcd.jpg!.jpg", b"abcd.jpg\x00.jpg"))
    photos, refused = unpack_pictures(archive, tmp_path / "out")
    assert photos.empty and refused == {"control characters in its name": 1}


def test_links_devices_and_encrypted_entries_are_refused(tmp_path):
    fifo = zipfile.ZipInfo("pipe.jpg")
    fifo.external_attr = (stat.S_IFIFO | 0o666) << 16
    entries = [(linked("link.jpg", "/etc/passwd"), b"/etc/passwd"), (fifo, jpeg()), ("secret.jpg", jpeg())]
    archive = write_zip(tmp_path / "a.zip", entries, zipfile.ZIP_STORED)
    content = bytearray(archive.read_bytes())
    for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # encrypted: bit 0 of the flags
        content[content.rindex(header) + flags] |= 1
    archive.write_bytes(content)
    photos, refused = unpack_pictures(archive, tmp_path / "out")
    assert photos.empty and refused == {"a link or a device, not a file": 2, "encrypted": 1}
    assert files_below(tmp_path) == ["a.zip"]


def test_a_link_in_the_folder_is_replaced_not_followed(tmp_path):
    victim, out = tmp_path / "victim", tmp_path / "out"
    out.mkdir()
    (out / "good.jpg").symlink_to(victim)
    unpack_pictures(write_zip(tmp_path / "a.zip", {"good.jpg": jpeg()}), out)
    assert not victim.exists() and (out / "good.jpg").read_bytes() == jpeg()


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_comes_twice_keeps_the_first(tmp_path):
    names = ["x/1.jpg", "x/1.jpg", "y/1.jpg", "A.jpg", "a.jpg"]
    archive = write_zip(tmp_path / "a.zip", [(name, jpeg(n)) for n, name in enumerate(names, start=1)])
    photos, refused = unpack_pictures(archive, tmp_path / "out")
    assert photos.index.tolist() == ["1", "A"] and refused == {"a name that was there before": 3}
    assert (tmp_path / "out" / "1.jpg").read_bytes() == jpeg(1)


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"GIF89a" + b"\0" * 100, jpeg()[:-200], b"\xff\xd8\xff" + b"\0" * 500, b"<html></html>"],
)
def test_what_is_no_picture_never_gets_a_name(tmp_path, content):
    archive = write_zip(tmp_path / "a.zip", {"1.jpg": content, "2.jpg": jpeg()})
    photos, refused = unpack_pictures(archive, tmp_path / "out")
    assert photos.index.tolist() == ["2"] and refused == {"no readable JPEG": 1}
    assert files_below(tmp_path / "out") == ["2.jpg"]


def test_a_png_in_disguise_is_refused(tmp_path):
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "PNG")
    assert unpack_pictures(write_zip(tmp_path / "a.zip", {"1.jpg": stream.getvalue()}), tmp_path / "o")[1] == {
        "no readable JPEG": 1
    }


@functools.cache
def packed_zeros(size):
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(b"\xff\xd8\xff") + b"".join(packer.compress(bytes(1 << 20)) for _ in range(size >> 20))
    return packed + packer.flush()


def bomb(path, n=1, size=200_000_000, claims=None):
    """Entries of zeros behind the head of a JPEG, as small as deflate makes them; their headers may lie."""
    packed = packed_zeros(size)
    content, directory = bytearray(), bytearray()
    for number in range(n):
        name, says = f"{number}.jpg".encode(), size if claims is None else claims
        fields = (20, 0, 8, 0, 33, 0, len(packed), says, len(name), 0)
        directory += struct.pack("<4sHHHHHHIIIHHHHHII", b"PK\x01\x02", 20, *fields, 0, 0, 0, 0, len(content)) + name
        content += struct.pack("<4sHHHHHIIIHH", b"PK\x03\x04", *fields) + name + packed
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, n, n, len(directory), len(content), 0)
    path.write_bytes(content + directory + end)
    return path


@pytest.mark.parametrize("claims", [None, 1000, 4_000_000_000])
def test_a_bomb_is_refused_without_unpacking_it(tmp_path, claims):
    archive = bomb(tmp_path / "a.zip", claims=claims)
    assert archive.stat().st_size < 300_000
    tracemalloc.start()
    photos, refused = unpack_pictures(archive, tmp_path / "out")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert photos.empty and sum(refused.values()) == 1
    assert set(refused) <= {"too large when unpacked", "damaged or not what the directory says"}
    assert peak < 30_000_000, "of 200 MB, only what the ratio allows was unpacked"
    assert files_below(tmp_path / "out") == []


def test_an_archive_that_unpacks_to_terabytes_is_refused_as_a_whole(tmp_path, monkeypatch):
    content = jpeg(size=(600, 400))
    archive = write_zip(tmp_path / "a.zip", {f"{n}.jpg": content for n in range(20)})
    monkeypatch.setattr(archives, "MAX_TOTAL_BYTES", 5 * len(content) + 10)
    with pytest.raises(CorruptFileError, match="unpacks to more than"):
        unpack_pictures(archive, tmp_path / "out")
    assert len(files_below(tmp_path / "out")) == 5, "what came before is whole, and stays"
    monkeypatch.setattr(archives, "MAX_ENTRIES", 19)
    with pytest.raises(CorruptFileError, match="20 entries, over the limit of 19"):
        unpack_pictures(archive, tmp_path / "none")
    assert not files_below(tmp_path / "none")


def overlapping(path, n):
    """Many directory entries that point at one packed file: terabytes of entries in a few megabytes."""
    write_zip(path, {"000000.jpg": jpeg()})
    content = path.read_bytes()
    start = content.index(b"PK\x01\x02")
    end = content.index(b"PK\x05\x06")
    entry = content[start:end]
    directory = b"".join(entry.replace(b"000000", f"{number:06}".encode()) for number in range(n))
    tail = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, n & 0xFFFF, n & 0xFFFF, len(directory), start, 0)
    path.write_bytes(content[:start] + directory + tail)
    return path


def test_entries_that_share_their_bytes_are_refused(tmp_path):
    photos, refused = unpack_pictures(overlapping(tmp_path / "a.zip", 50), tmp_path / "out")
    assert len(photos) + sum(refused.values()) == 50 and len(photos) <= 1
    assert set(refused) == {"damaged or not what the directory says"}


def test_a_directory_that_is_too_large_is_never_read(tmp_path, monkeypatch):
    archive = overlapping(tmp_path / "a.zip", 30_000)
    monkeypatch.setattr(archives, "MAX_ENTRIES", 10)
    with pytest.raises(CorruptFileError, match=r"directory of 1,[0-9,]+ bytes is larger"):
        unpack_pictures(archive, tmp_path / "out")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_packing_that_can_ask_for_gigabytes_is_refused(tmp_path, method):
    _, refused = unpack_pictures(write_zip(tmp_path / "a.zip", {"1.jpg": jpeg()}, method), tmp_path / "out")
    assert refused == {f"packed by method {method}, not stored or deflated": 1}


@pytest.mark.parametrize("content", [b"", b"PK", b"not a zip" * 100, b"PK\x05\x06" + b"\xff" * 18, b"<html>404</html>"])
def test_what_is_no_zip_is_refused_as_a_whole(tmp_path, content):
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(CorruptFileError, match="not a whole zip archive"):
        unpack_pictures(tmp_path / "a.zip", tmp_path / "out")


def test_every_truncation_and_every_flipped_byte_gives_pictures_or_a_refusal(tmp_path):
    whole = write_zip(tmp_path / "a.zip", {"1.jpg": jpeg(1), "2.jpg": jpeg(2)}).read_bytes()
    good = {jpeg(1), jpeg(2)}
    rng = np.random.default_rng(0)
    damaged = [whole[:n] for n in range(0, len(whole), 97)]
    for place in rng.choice(len(whole), 150, replace=False):
        damaged.append(whole[:place] + bytes([whole[place] ^ (1 << int(rng.integers(8)))]) + whole[place + 1 :])
    for number, content in enumerate(damaged):
        (tmp_path / "b.zip").write_bytes(content)
        out = tmp_path / str(number)
        with contextlib.suppress(CorruptFileError):
            unpack_pictures(tmp_path / "b.zip", out)
        assert all((out / name).read_bytes() in good for name in files_below(out)), "the CRC saw every change"


def test_unpacking_resumes_after_an_interruption(tmp_path, monkeypatch):
    archive, out = write_zip(tmp_path / "a.zip", {f"{n}.jpg": jpeg(n) for n in range(6)}), tmp_path / "out"
    with monkeypatch.context() as patch, pytest.raises(CorruptFileError):
        patch.setattr(archives, "MAX_TOTAL_BYTES", sum(len(jpeg(n)) for n in range(3)))
        unpack_pictures(archive, out)
    assert files_below(out) == ["0.jpg", "1.jpg", "2.jpg"]
    (out / ".3.jpg.abc.part").write_bytes(b"half")
    before = (out / "0.jpg").stat().st_mtime_ns
    photos, refused = unpack_pictures(archive, out)
    assert len(photos) == 6 and not refused and files_below(out) == [f"{n}.jpg" for n in range(6)]
    assert (out / "0.jpg").stat().st_mtime_ns == before
