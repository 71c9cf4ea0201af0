"""A word tokenizer with open_clip's tokenizer interface, for CLIPs with a small vocabulary."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import torch

_WORD = re.compile(r"[^\W_]+")


def words(text: str) -> list[str]:
    """Lower-case words of `text` without accents: `"São Paulo, BR"` gives `["sao", "paulo", "br"]`."""
    plain = unicodedata.normalize("NFKD", text.lower())
    return _WORD.findall("".join(c for c in plain if not unicodedata.combining(c)))


class WordTokenizer:
    """Texts to token ids, called exactly like `open_clip.get_tokenizer(...)`.

    Ids: 0 pads, 1 is an unknown word, 2 starts a text, then the words in order; the end token has the
    highest id, because open_clip's text tower pools where the id is largest.
    """

    def __init__(self, vocabulary: Sequence[str], context_length: int = 32) -> None:
        if len(set(vocabulary)) != len(vocabulary):
            raise ValueError("the vocabulary names a word twice")
        if context_length < 3:
            raise ValueError(f"context_length={context_length}: expected at least 3 (start, one word, end)")
        self.vocabulary = list(vocabulary)
        self.context_length = context_length
        self.ids = {word: number for number, word in enumerate(self.vocabulary, start=3)}
        self.start, self.end = 2, len(self.vocabulary) + 3
        self.vocab_size = self.end + 1

    def __call__(self, texts: str | Sequence[str], context_length: int | None = None) -> torch.Tensor:
        """Token ids, int64 (n, context_length); long texts are cut, their end token kept."""
        texts = [texts] if isinstance(texts, str) else list(texts)
        length = context_length or self.context_length
        tokens = torch.zeros(len(texts), length, dtype=torch.int64)
        for row, text in enumerate(texts):
            ids = [self.ids.get(word, 1) for word in words(text)][: length - 2]
            tokens[row, : len(ids) + 2] = torch.tensor([self.start, *ids, self.end])
        return tokens
