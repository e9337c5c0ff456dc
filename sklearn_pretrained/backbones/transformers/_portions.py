"""Texts and pairs of texts → portions that a tokenizer takes in one go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

Text = str | tuple[str, str]
# A tokenizer needs some hundred bytes for each character, also of those that are cut away.
_LETTERS = 1 << 19


def portions(texts: Sequence[Text]) -> Iterator[list[int]]:
    """Yield the places of texts that go together: all single or all pairs, and not too long.

    A single text beside a pair would be read as a pair with an empty second part, which is
    another text.
    """
    for paired in (False, True):
        portion: list[int] = []
        letters = 0
        for i, text in enumerate(texts):
            if isinstance(text, tuple) is not paired:
                continue
            length = sum(map(len, text)) if isinstance(text, tuple) else len(text)
            if portion and letters + length > _LETTERS:
                yield portion
                portion, letters = [], 0
            portion.append(i)
            letters += length
        if portion:
            yield portion
