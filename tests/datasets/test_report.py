"""What a dataset reports, and what counts as a near-duplicate: by hashes of pixels and by embeddings."""

import io

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from geolib.datasets import open_dataset
from geolib.datasets.duplicates import average_hash, count_near_duplicates, difference_hash, near_duplicates
from geolib.datasets.report import format_report, survey

# Perceptual hashes


def scenes(n, size=(200, 150)):
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)).resize(size) for _ in range(n)]


@pytest.mark.parametrize("size", [(1, 1), (9, 8), (16, 16), (7, 300), (320, 240)])
def test_stored_hashes_keep_their_meaning(size):
    """Fetched datasets store hashes: each bit compares means of squares, whatever imagehash's own filter is."""
    rng = np.random.default_rng(1)
    picture = Image.fromarray(rng.integers(0, 256, (*size[::-1], 3), dtype=np.uint8))
    squares = np.asarray(picture.convert("L").resize((16, 16), Image.Resampling.BOX), float)
    assert average_hash(picture) == np.packbits(squares > squares.mean()).tobytes().hex()
    columns = np.asarray(picture.convert("L").resize((9, 8), Image.Resampling.BOX), int)
    assert difference_hash(picture) == np.packbits(np.diff(columns) > 0).view(np.int64)[0]


def test_hashes_of_the_first_edition_are_found_again():
    picture = scenes(1)[0]
    assert average_hash(picture) == "ef916f981e6c97fe93ff3bfb186018300030798277f6b7fcf1f079f021002300"
    assert difference_hash(picture) == -5578639885327831323


def test_the_difference_hash_knows_copies_and_tells_others_apart():
    pictures = scenes(50)
    hashes = [difference_hash(picture) for picture in pictures]
    assert len(set(hashes)) == 50
    stream = io.BytesIO()
    pictures[0].resize((120, 90)).save(stream, "JPEG", quality=95)
    copy = difference_hash(Image.open(stream).convert("RGB"))
    assert bin((copy ^ hashes[0]) & (1 << 64) - 1).count("1") <= 3


def test_near_duplicates_are_counted_as_brute_force_does():
    pictures = scenes(150, (320, 240))
    hashes = [average_hash(each) for each in pictures + [each.resize((200, 150)) for each in pictures[:7]]]
    assert count_near_duplicates(hashes) == 7
    assert count_near_duplicates([]) == count_near_duplicates(hashes[:1]) == 0
    numbers = [int(each, 16) for each in hashes]
    for bits in (0, 10, 100):
        slow = sum(any((a ^ b).bit_count() <= bits for b in numbers[:k]) for k, a in enumerate(numbers))
        assert count_near_duplicates(hashes, bits) == slow


# Near-duplicates by embeddings


def unit(n, seed, dim=16):
    rows = np.random.default_rng(seed).normal(size=(n, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.floats(-0.5, 0.95), st.integers(1, 40), st.integers(1, 40))
def test_near_duplicates_are_all_pairs_above_the_threshold(seed, threshold, n, m):
    a, b = unit(n, seed, 4), unit(m, seed + 1, 4)
    found = near_duplicates(a, b, threshold)
    similarity = a.astype(float) @ b.astype(float).T
    pairs = set(zip(found.photo, found.other, strict=True))
    assert len(pairs) == len(found) and found.similarity.is_monotonic_decreasing
    assert set(zip(*np.nonzero(similarity >= threshold + 1e-6), strict=True)) <= pairs
    assert pairs <= set(zip(*np.nonzero(similarity >= threshold - 1e-6), strict=True))


def test_planted_copies_are_found_across_blocks():
    photos, others = unit(600, 0), unit(70_000, 1)  # more than are compared at a time
    photos[[3, 400]] = others[[69_999, 8]]
    found = near_duplicates(photos, others.astype(np.float16), 0.999)
    assert set(zip(found.photo, found.other, strict=True)) == {(3, 69_999), (400, 8)}
    assert near_duplicates(torch.from_numpy(photos[:3]), torch.from_numpy(others), 0.999).empty


def test_vectors_that_cannot_be_compared_are_refused():
    photos, others = unit(70, 0), unit(500, 1)
    with pytest.raises(ValueError, match="threshold=2"):
        near_duplicates(photos, others, 2)
    with pytest.raises(ValueError, match=r"others have shape \(500, 15\)"):
        near_duplicates(photos, others[:, 1:])
    with pytest.raises(ValueError, match=r"others have shape \(0, 16\)"):
        near_duplicates(photos, others[:0])
    for broken in (others * 2, np.where(np.arange(500)[:, None] == 7, np.nan, others)):
        with pytest.raises(ValueError, match=r"others: row [07] has length (2|nan), expected 1"):
            near_duplicates(photos, broken)


# The report


def write_photo(path, picture=None, place=None, licence=""):
    exif = Image.Exif()
    exif[ExifTags.Base.Copyright] = licence.encode()
    if place:
        lat, lon = ((float(degrees), 0.0, 0.0) for degrees in place)
        exif[ExifTags.IFD.GPSInfo] = {1: "N", 2: lat, 3: "E", 4: lon}
    (picture or Image.new("RGB", (16, 12))).save(path, exif=exif)


def test_a_dataset_reports_what_it_holds_and_what_was_refused(tmp_path):
    pictures = scenes(3, (320, 240))
    for n, picture in enumerate([pictures[0], *pictures]):  # the first one twice
        write_photo(tmp_path / f"{n}.jpg", picture, (47, 7), licence=f"\xa9 {n // 2}")
    write_photo(tmp_path / "none.jpg")
    whole = (tmp_path / "3.jpg").read_bytes()
    (tmp_path / "3.jpg").write_bytes(whole[: len(whole) // 2])
    report = survey(open_dataset(f"folder:{tmp_path}"))
    assert report == {
        "photos": 3,
        "countries": 1,
        "photographers": 0,
        "licences": {"\xa9 0": 2, "\xa9 1": 1},
        "bytes": sum((tmp_path / f"{n}.jpg").stat().st_size for n in range(3)),
        "near_duplicates": 1,
        "refused": {"without coordinates in the EXIF": 1, "damaged or cut short": 1},
    }
    text = format_report(report)
    assert text.startswith("3 photos, 1 country, 0 photographers") and "1  damaged or cut short" in text
    assert "near-duplicates: 1 photo looks like an earlier one" in text


def test_missing_files_and_files_outside_the_folder_are_counted(tmp_path):
    write_photo(tmp_path / "0.jpg")
    names = ["0", "gone", "../../etc/passwd"]
    pd.DataFrame({"id": names, "lat": [1, 2, 3], "lon": [3, 4, 5]}).to_csv(tmp_path / "t.csv", index=False)
    text = format_report(survey(open_dataset(f"table:{tmp_path}/t.csv")))
    assert text.startswith("1 photo,") and "not stated 1" in text and "1  does not exist" in text
    assert "1  with a name that leads out of its folder" in text


def test_a_report_says_when_less_was_found_than_asked_for():
    report = {
        "photos": 6,
        "countries": 1,
        "photographers": 2,
        "licences": {"CC0": 6},
        "bytes": 10,
        "near_duplicates": 0,
    }
    whole = report | {"refused": {}, "wanted": 50, "asked": 150}
    assert "50 were asked for: no more were found in 150 places" in format_report(whole)
    assert "asked for" not in format_report(whole | {"wanted": 6}) + format_report(report | {"refused": {}})
    many = {f"licence {n}": 1 for n in range(14)}
    assert "licence 9 1, 4 others" in format_report(whole | {"licences": many})
