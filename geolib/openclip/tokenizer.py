"""A tokenizer that splits texts into words, for CLIPs with a small vocabulary. Called like open_clip's tokenizers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import torch


def words(text: str) -> list[str]:
    """Lower-case words of `text`, without accents.

    >>> words("São Paulo, BR")
    ['sao', 'paulo', 'br']
    """
    plain = unicodedata.normalize("NFKD", text.lower())
    return re.findall(r"[^\W_]+", "".join(c for c in plain if not unicodedata.combining(c)))


class WordTokenizer:
    """Texts to token ids: 0 is padding, 1 an unknown word, 2 the start, then the vocabulary, then the end.

    The end token has the largest id, because open_clip's text encoder reads its vector where the id is largest.

    >>> WordTokenizer(["in", "peru"], context_length=6)("Somewhere in Peru")
    tensor([[2, 1, 3, 4, 5, 0]])
    """

    def __init__(self, vocabulary: Sequence[str], context_length: int = 32) -> None:
        if len(set(vocabulary)) != len(vocabulary):
            raise ValueError("the vocabulary contains a word twice")
        if context_length < 3:
            raise ValueError(f"context_length={context_length}: expected at least 3 (start, one word, end)")
        self.vocabulary, self.context_length = list(vocabulary), context_length
        self.ids = {word: number for number, word in enumerate(self.vocabulary, start=3)}
        self.start, self.end, self.vocab_size = 2, len(self.vocabulary) + 3, len(self.vocabulary) + 4

    def __call__(self, texts: str | Sequence[str], context_length: int | None = None) -> torch.Tensor:
        """Token ids, int64 (n, context_length). Long texts are cut, but keep their end token."""
        texts = [texts] if isinstance(texts, str) else list(texts)
        length = context_length or self.context_length
        tokens = torch.zeros(len(texts), length, dtype=torch.int64)
        for row, text in enumerate(texts):
            ids = [self.ids.get(word, 1) for word in words(text)][: length - 2]
            tokens[row, : len(ids) + 2] = torch.tensor([self.start, *ids, self.end])
        return tokens
