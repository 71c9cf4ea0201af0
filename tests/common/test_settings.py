"""The environment variables of the course: read, defaulted, or refused."""

import pytest

from geolib.common.settings import Settings


def test_without_variables_the_course_runs_on_postcards():
    assert Settings.from_env({}) == Settings("postcards", "postcards", "auto", 0, False)


def test_every_field_is_read():
    env = {
        "GEOLIB_DATASET": "folder:/photos",
        "GEOLIB_ENCODER": "ViT-L-14/openai",
        "GEOLIB_DEVICE": "cuda",
        "GEOLIB_SEED": "7",
        "GEOLIB_FAST": "yes",
    }
    assert Settings.from_env(env) == Settings("folder:/photos", "ViT-L-14/openai", "cuda", 7, True)


def test_the_process_environment_is_the_default(monkeypatch):
    monkeypatch.setenv("GEOLIB_SEED", "11")
    assert Settings.from_env().seed == 11


def test_an_empty_variable_counts_as_unset():
    assert Settings.from_env(dict.fromkeys(["GEOLIB_DATASET", "GEOLIB_SEED", "GEOLIB_FAST"], "")) == Settings()


@pytest.mark.parametrize("seed", ["-1", "1.5", "one", "0x1"])
def test_a_seed_that_is_not_a_natural_number_is_refused(seed):
    with pytest.raises(ValueError, match=f"GEOLIB_SEED='{seed}': expected a non-negative integer"):
        Settings.from_env({"GEOLIB_SEED": seed})


@pytest.mark.parametrize(("text", "fast"), [("1", True), (" On ", True), ("TRUE", True), ("0", False), ("off", False)])
def test_fast_takes_the_usual_words(text, fast):
    assert Settings.from_env({"GEOLIB_FAST": text}).fast is fast


def test_fast_refuses_other_words():
    with pytest.raises(ValueError, match="GEOLIB_FAST='maybe': expected 1 or 0"):
        Settings.from_env({"GEOLIB_FAST": "maybe"})


def test_pick_and_encoder_name():
    assert (Settings(fast=True).pick(100, 5), Settings().pick(100, 5)) == (5, 100)
    assert Settings().encoder_name == ("postcards", None)
    assert Settings(encoder="ViT-L-14/openai").encoder_name == ("ViT-L-14", "openai")


def test_an_encoder_may_be_a_folder(tmp_path):
    (tmp_path / "postcards").mkdir()
    assert Settings(encoder=str(tmp_path / "postcards")).encoder_name == (str(tmp_path / "postcards"), None)


def test_a_folder_hides_no_pair_of_model_and_weights(tmp_path, monkeypatch):
    (tmp_path / "ViT-L-14" / "openai").mkdir(parents=True)
    (tmp_path / "mine" / "one").mkdir(parents=True)
    (tmp_path / "mine" / "one" / "open_clip_config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert Settings(encoder="ViT-L-14/openai").encoder_name == ("ViT-L-14", "openai")
    for folder in ("mine/one", "./ViT-L-14/openai", "../x", "~/x", str(tmp_path / "gone")):
        assert Settings(encoder=folder).encoder_name == (folder, None)
