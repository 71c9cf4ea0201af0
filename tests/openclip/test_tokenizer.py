"""The word tokenizer behaves like open_clip's own, with a vocabulary that a reader can see."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geolib.openclip.tokenizer import WordTokenizer, words
from geolib.openclip.torchvision import import_open_clip

VOCABULARY = ["a", "photo", "of", "sao", "paulo"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("São Paulo, BR", ["sao", "paulo", "br"]),
        ("  Route 66 / snake_case  ", ["route", "66", "snake", "case"]),
        ("ÅLESUND's", ["alesund", "s"]),
        ("東京 Москва", ["東京", "москва"]),
        ("…!?", []),
    ],
)
def test_words(text, expected):
    assert words(text) == expected


def test_ids_by_hand():
    tokens = WordTokenizer(VOCABULARY, context_length=7)(["A photo of Oslo", "", "São Paulo"])
    assert tokens.dtype == torch.int64
    assert tokens.tolist() == [[2, 3, 4, 5, 1, 8, 0], [2, 8, 0, 0, 0, 0, 0], [2, 6, 7, 8, 0, 0, 0]]


def test_called_like_open_clips_tokenizer():
    ours, theirs = WordTokenizer(VOCABULARY, context_length=9), import_open_clip().get_tokenizer("ViT-B-32")
    for texts in ("a photo", ["a photo", "of"]):
        for options in ({}, {"context_length": 5}):
            a, b = ours(texts, **options), theirs(texts, **options)
            assert (a.dtype, a.ndim, len(a)) == (b.dtype, b.ndim, len(b))
            if options:
                assert a.shape == b.shape == (len(a), 5)


@given(st.lists(st.text(max_size=60), min_size=1, max_size=4), st.integers(3, 12))
def test_every_text_starts_ends_and_fits(texts, length):
    tokenizer = WordTokenizer(VOCABULARY, context_length=length)
    for text, row in zip(texts, tokenizer(texts).tolist(), strict=True):
        assert len(row) == length and row[0] == tokenizer.start
        end = row.index(max(row))  # where open_clip's text tower pools
        assert row[end] == tokenizer.end and not any(row[end + 1 :])
        assert end == min(len(words(text)), length - 2) + 1
        assert max(row) < tokenizer.vocab_size


def test_bad_vocabularies():
    with pytest.raises(ValueError, match="twice"):
        WordTokenizer(["a", "b", "a"])
    with pytest.raises(ValueError, match="at least 3"):
        WordTokenizer(VOCABULARY, context_length=2)
