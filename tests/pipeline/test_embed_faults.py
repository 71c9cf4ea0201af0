"""embed_photos beside replaced pictures, full disks, lost workers, and scripts without a main guard."""

import json
import os
import resource
import subprocess
import sys
import time
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from geolib import open_dataset
from geolib.app import cli
from geolib.common import files
from geolib.common.errors import MismatchError, MissingDataError
from geolib.embed import EmbeddingStore, embed_photos
from geolib.encoder import Encoder

pytestmark = pytest.mark.usefixtures("one_thread")

N = 80


@pytest.fixture
def album(tmp_path):
    """Three photos in a folder, with a table of their places."""
    folder = tmp_path / "album"
    folder.mkdir()
    for number in range(3):
        draw(folder / f"{number}.png", number)
    rows = {"id": [f"{number}.png" for number in range(3)], "lat": [1.0, 2.0, 3.0], "lon": [4.0, 5.0, 6.0]}
    pd.DataFrame(rows).to_csv(folder / "places.csv", index=False)
    return folder


def draw(path, number):
    Image.fromarray(pixels(number)).save(path)


def pixels(number, side=40):
    return np.random.default_rng(number).integers(0, 256, (side, side, 3), dtype=np.uint8)


def names(n):
    return [f"photo/{number}" for number in range(n)]


def hashes(folder):
    return {path.name: files.sha256_file(path) for path in sorted(Path(folder).iterdir())}


def run_limited(arguments, limit, seconds=120):
    """Run Python in a process whose files, also those in shared memory, may have `limit` bytes."""
    how = {"capture_output": True, "text": True, "timeout": seconds}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        preexec_fn=partial(resource.setrlimit, resource.RLIMIT_FSIZE, (limit, limit)),
        **how,
    )


# Replaced pictures


def as_list(album):
    return [album / f"{number}.png" for number in range(3)]


def as_texts(album):
    return tuple(map(str, as_list(album)))


def as_dataset(album):
    return open_dataset(f"table:{album}/places.csv").paths


@pytest.mark.parametrize("sources", [as_list, as_texts, as_dataset])
@pytest.mark.parametrize("state", ["finished", "unfinished"])
def test_a_replaced_picture_is_noticed(encoder, album, tmp_path, sources, state):
    out = tmp_path / "store"
    first = embed_photos(encoder, sources(album), names(3), out, shard_size=1, workers=0)
    again = embed_photos(encoder, sources(album), names(3), out, shard_size=1, workers=0)
    np.testing.assert_array_equal(again.vectors, first.vectors)
    if state == "unfinished":
        (out / "shard-00002.safetensors").unlink()
    draw(album / "0.png", 7)
    with pytest.raises(MismatchError, match=r"files_sha256 .*a file was replaced .*choose another folder"):
        embed_photos(encoder, sources(album), names(3), out, shard_size=1, workers=0)
    new = embed_photos(encoder, sources(album), names(3), tmp_path / "new", shard_size=1, workers=0)
    assert np.abs(new.vectors[0] - first.vectors[0]).max() > 0.01
    np.testing.assert_array_equal(new.vectors[1:], first.vectors[1:])


def test_the_command_notices_a_replaced_picture(model_folder, album, tmp_path, capsys):
    command = ["embed", str(album), "--encoder", str(model_folder), "--out", str(tmp_path / "store")]
    assert cli.main(command) == cli.main(command) == 0
    draw(album / "0.png", 7)
    assert cli.main(command) == 2
    assert "a file was replaced" in capsys.readouterr().err


def test_a_store_of_an_earlier_version_still_opens_and_resumes(encoder, album, tmp_path):
    embed_photos(encoder, as_list(album), names(3), tmp_path / "store", workers=0)
    meta = files.read_json(tmp_path / "store" / "meta.json")
    for name in ("files_sha256", "first_shard"):  # earlier versions recorded neither
        del meta[name]
    files.write_json(tmp_path / "store" / "meta.json", meta)
    before = EmbeddingStore.open(tmp_path / "store").vectors
    for remake in (False, True):
        if remake:
            (tmp_path / "store" / "shard-00000.safetensors").unlink()
        np.testing.assert_array_equal(
            embed_photos(encoder, as_list(album), names(3), tmp_path / "store", workers=0).vectors, before
        )


# Shards


def test_shards_grow_so_that_a_kill_loses_little(encoder, tmp_path, monkeypatch):
    images, ids, options = [pixels(i) for i in range(300)], names(300), {"workers": 0, "batch_size": 32}
    whole = embed_photos(encoder, images, ids, tmp_path / "whole", **options)
    sizes = [entry["vectors"] for entry in whole.meta["shards"]]
    assert sum(sizes) == 300 and len(sizes) > 2
    assert all(after == 2 * before for before, after in pairwise(sizes[:-1]))

    forward, seen = Encoder.forward, []

    def killed_in_the_middle(self, crops):
        if sum(seen) >= 150:
            raise KeyboardInterrupt
        seen.append(len(crops))
        return forward(self, crops)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Encoder, "forward", killed_in_the_middle)
        embed_photos(encoder, images, ids, tmp_path / "killed", **options)
    kept = sorted((tmp_path / "killed").glob("shard-*"))
    assert sum(sizes[: len(kept)]) >= 150 / 2 - 32, "a kill loses more than half of the work"
    times = [path.stat().st_mtime_ns for path in kept]
    embed_photos(encoder, images, ids, tmp_path / "killed", **options)
    assert [path.stat().st_mtime_ns for path in kept] == times
    assert hashes(tmp_path / "killed") == hashes(tmp_path / "whole")


def test_no_shard_is_larger_than_asked_for(encoder, tmp_path):
    store = embed_photos(encoder, [pixels(0)] * 500, names(500), tmp_path, shard_size=150, workers=0)
    sizes = [entry["vectors"] for entry in store.meta["shards"]]
    assert sum(sizes) == 500 and max(sizes) == 150


def test_what_killed_runs_left_is_removed(encoder, tmp_path):
    old, fresh, mine = (
        tmp_path / name for name in (".shard-00000.safetensors.ab12ab12.part", ".meta.json.cd34cd34.part", ".a.part")
    )
    for path in (old, fresh, mine):
        path.touch()
    for path in (old, mine):
        os.utime(path, (time.time() - 3600,) * 2)
    for _ in range(2):  # a new store, and a finished one
        embed_photos(encoder, [pixels(0)], ["a"], tmp_path, workers=0)
        assert not old.exists() and fresh.exists() and mine.exists(), "another process may be writing the fresh one"
        old.touch()
        os.utime(old, (time.time() - 3600,) * 2)


# A full disk


def test_a_full_disk_is_an_error_in_words_and_leaves_nothing_half_written(model_folder, tmp_path):
    album = tmp_path / "album"
    album.mkdir()
    for number in range(N):
        draw(album / f"{number:02}.png", number)
    command = ["-m", "geolib", "embed", album, "--encoder", model_folder, "--out"]
    assert cli.main([*map(str, command[2:]), str(tmp_path / "whole")]) == 0
    meta_bytes = (tmp_path / "whole" / "meta.json").stat().st_size
    shard_bytes = (tmp_path / "whole" / "shard-00000.safetensors").stat().st_size
    assert meta_bytes < shard_bytes, "the limit has to hit a shard, not meta.json"
    done = run_limited([*command, tmp_path / "full"], shard_bytes - 1)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "shard-00000.safetensors cannot be written" in done.stderr and "free some space" in done.stderr
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["meta.json"]
    with pytest.raises(MissingDataError, match="unfinished"):
        EmbeddingStore.open(tmp_path / "full")
    assert cli.main([*map(str, command[2:]), str(tmp_path / "full")]) == 0
    assert hashes(tmp_path / "full") == hashes(tmp_path / "whole")


@pytest.mark.parametrize("name", ["model.json", "notes.txt", "album/photo.jpg"])
def test_a_folder_with_other_files_gets_no_store(encoder, tmp_path, name):
    (tmp_path / "out" / name).parent.mkdir(parents=True)
    (tmp_path / "out" / name).write_text("mine")
    with pytest.raises(MismatchError, match=f"holds {Path(name).parts[0]} and so is no store"):
        embed_photos(encoder, [pixels(1)], names(1), tmp_path / "out", workers=0)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [Path(name).parts[0]]


# Workers

EMBED = """
import sys
from pathlib import Path
import numpy as np
from geolib import Encoder, embed_photos

def job(workers):
    images = [np.random.default_rng(i).integers(0, 256, (40, 40, 3), dtype=np.uint8) for i in range(80)]
    embed_photos(Encoder.load(sys.argv[1], device="cpu"), images, [f"photo/{i}" for i in range(80)], sys.argv[2],
                 workers=workers)
    print("done")
"""
MEND = 'if __name__ == "__main__":'


@pytest.fixture(scope="module")
def expected(encoder, tmp_path_factory):
    out = tmp_path_factory.mktemp("expected")
    embed_photos(encoder, [pixels(number) for number in range(N)], names(N), out, workers=0)
    return hashes(out)


def test_workers_without_shared_memory_are_not_waited_for(model_folder, expected, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(EMBED + "\nif __name__ == '__main__':\n    job(2)\n")
    done = run_limited([script, model_folder, tmp_path / "out"], 65_536)  # a chunk of 32 crops has 98,304 bytes
    assert done.stdout == "done\n", done.stderr
    assert "UserWarning: no worker processes, so decoding is slower: " in done.stderr
    assert "File too large" in done.stderr  # what the system said of the shared memory
    assert hashes(tmp_path / "out") == expected


NO_GUARD, OUTSIDE, INSIDE = "job(2)", f"{MEND}\n    pass\njob(2)", f"def main():\n    job(2)\n\n{MEND}\n    main()"

THREAD = "import threading\nthread = threading.Thread(target=job, args=[2])\nthread.start()\nthread.join()"


@pytest.mark.parametrize(
    ("method", "end"),
    [
        ("spawn", NO_GUARD),
        ("forkserver", NO_GUARD),
        ("spawn", OUTSIDE),
        ("forkserver", OUTSIDE),
        ("spawn", INSIDE),
        ("forkserver", INSIDE),
        ("fork", NO_GUARD),
        ("spawn", THREAD),
    ],
)
def test_a_script_without_a_main_guard_goes_on_without_workers(model_folder, expected, tmp_path, method, end):
    script = tmp_path / "script.py"
    start = f"import multiprocessing\nmultiprocessing.set_start_method({method!r}, force=True)\n"
    script.write_text(start + EMBED + end + "\n")
    done = run_limited([script, model_folder, tmp_path / "out"], resource.RLIM_INFINITY)
    assert done.returncode == 0 and done.stdout == "done\n", done.stderr
    assert "Traceback" not in done.stderr
    assert (MEND in done.stderr) is (method != "fork" and end != INSIDE), done.stderr
    assert hashes(tmp_path / "out") == expected


def test_images_that_cannot_be_sent_to_workers_are_made_here(model_folder, expected, tmp_path):
    """A class of a notebook or a local one cannot be pickled, which workers that are not forked need."""
    script = tmp_path / "script.py"
    script.write_text(
        "import multiprocessing\nmultiprocessing.set_start_method('spawn')\n"
        + EMBED.replace("images = [", "images = Drawn(")
        .replace(" for i in range(80)]\n", ")\n", 1)
        .replace("Drawn(np.random", "Drawn(lambda i: np.random")
        + """
class Drawn:
    def __init__(self, make):
        self.make = make
    def __len__(self):
        return 80
    def __getitem__(self, i):
        return self.make(i)

if __name__ == "__main__":
    job(2)
"""
    )
    done = run_limited([script, model_folder, tmp_path / "out"], resource.RLIM_INFINITY)
    assert done.stdout == "done\n", done.stderr
    assert "pickle" in done.stderr
    meta = json.loads((tmp_path / "out" / "meta.json").read_text())
    assert [entry["sha256"] for entry in meta["shards"]] == [
        digest for name, digest in expected.items() if name.startswith("shard")
    ]


def test_an_error_of_the_source_of_images_reaches_the_caller(encoder, tmp_path):
    class Locked:
        def __len__(self):
            return N

        def __getitem__(self, position):
            if position == 40:
                raise MissingDataError("the archive is locked")
            return pixels(position)

    with pytest.warns(UserWarning, match="the archive is locked"), pytest.raises(MissingDataError, match="is locked"):
        embed_photos(encoder, Locked(), names(N), tmp_path, workers=2)
