"""Named items → what the package made of them, against a reference: rows, errors, wrong ones."""

from __future__ import annotations

import os
import re
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from sklearn_pretrained import PretrainedImageFeaturizer, PretrainedTextFeaturizer
from sklearn_pretrained.exceptions import BadItemWarning, TruncationWarning
from tests.hostile import reference

SLOW = 10.0


@dataclass
class Report:
    """What became of some items.

    Parameters
    ----------
    rows : int
        Items that gave the reference's row.
    errors : Counter
        Items that were refused, by the first words of the message.
    wrong : list of str
        Items with another row than the reference's, or with an error that names nothing.
    stricter : list of str
        Items that were refused although the reference reads them, and why.
    seconds : float
        Of the whole request.
    """

    rows: int = 0
    errors: Counter = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    stricter: list[str] = field(default_factory=list)
    seconds: float = 0.0


class Thumbnail(nn.Sequential):
    """Turns 8×8 pixels into numbers that tell pictures apart."""

    def __init__(self) -> None:
        super().__init__(nn.AvgPool2d(2), nn.Flatten(), nn.Linear(48, 16))


def to_thumbnail(image: Image.Image) -> torch.Tensor:
    """Prepare an image for `Thumbnail`."""
    small = np.array(image.resize((8, 8), Image.Resampling.BOX))
    return torch.from_numpy(small).permute(2, 0, 1).float() / 255


def images(**parameters: Any) -> PretrainedImageFeaturizer:
    """Make a featurizer over a network that costs nothing."""
    options = {"cache": None, "device": "cpu", "on_error": "nan", "layer": "output"}
    return PretrainedImageFeaturizer(
        Thumbnail, preprocessing=to_thumbnail, **{**options, **parameters}
    )


def texts(**parameters: Any) -> PretrainedTextFeaturizer:
    """Make a featurizer over a tiny encoder with a real tokenizer."""
    options = {"cache": None, "device": "cpu", "on_error": "nan", "truncation": "cut"}
    return PretrainedTextFeaturizer(str(_encoder()), **{**options, "pooling": "mean", **parameters})


@cache
def _place() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory()


@cache
def _encoder() -> Path:
    import transformers

    from sklearn_pretrained.backbones import find_text

    folder = Path(_place().name) / "encoder"
    tokenizer = transformers.AutoTokenizer.from_pretrained(
        find_text("sentence-transformers/all-MiniLM-L6-v2").folder
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=64,
    )
    transformers.BertModel(config).save_pretrained(folder)
    return folder


@cache
def _reader() -> tuple[Any, Any]:
    import transformers

    folder = _encoder()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    return tokenizer, transformers.AutoModel.from_pretrained(folder).eval()


def image_row(item: Any) -> np.ndarray | None:
    """Compute the row of an image with Pillow and torch alone."""
    pixels = reference.pixels(item)
    if pixels is None:
        return None
    torch.manual_seed(0)
    with torch.no_grad():
        return _thumbnail()(to_thumbnail(Image.fromarray(pixels))[None])[0].numpy()


@cache
def _thumbnail() -> nn.Module:
    featurizer = images().fit([np.zeros((9, 9), np.uint8)])
    return featurizer._backbone().build().eval()


def text_row(item: Any) -> np.ndarray | None:
    """Compute the row of a text, or of a pair, with transformers alone."""
    parts = item if isinstance(item, tuple) and len(item) == 2 else [item]
    if not all(isinstance(part, str) and _is_whole(part) for part in parts):
        return None
    tokenizer, encoder = _reader()
    # In lists, since a second text that is empty would otherwise count as none.
    inputs = tokenizer(
        *([str(part)] for part in parts),
        truncation=True,
        max_length=64,
        split_special_tokens=True,
        return_tensors="pt",
    )
    with torch.no_grad():
        return encoder(**inputs).last_hidden_state[0].mean(0).numpy()


def _is_whole(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def run(featurizer: Any, cases: Sequence[tuple[str, Any]], expected: Any) -> Report:
    """Send all items through a featurizer at once, and compare each with the reference.

    Parameters
    ----------
    featurizer : estimator
        With ``on_error="nan"``.
    cases : sequence of (str, item)
    expected : callable
        Item → row, or None where there is none.
    """
    # Texts differ by the rounding of floats alone, pixels by that of what is seen through others.
    tolerance = 1e-5 if expected is text_row else 1e-2
    report = Report()
    X = [item for _, item in cases]
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BadItemWarning)
        warnings.simplefilter("ignore", TruncationWarning)
        rows = featurizer.fit(X[:1]).transform(X)
    report.seconds = time.perf_counter() - started
    assert len(rows) == len(X)
    for i, ((name, item), row) in enumerate(zip(cases, rows, strict=True)):
        right = expected(item)
        if i in featurizer.bad_items_:
            message = featurizer.bad_items_[i]
            report.errors[_kind(message)] += 1
            if not np.isnan(row).all() or not _is_clear(message, i, item):
                report.wrong.append(f"{name}: {message!r}")
            if right is not None:
                report.stricter.append(f"{name}: {message!r}")
        elif right is None:
            report.wrong.append(f"{name}: a row, and none was expected")
        elif not np.linalg.norm(row - right) <= tolerance * np.linalg.norm(right):
            report.wrong.append(f"{name}: another row than the reference's")
        else:
            report.rows += 1
    return report


def _is_clear(message: str, i: int, item: Any) -> bool:
    named = message.startswith(f"Item {i} of X")
    if isinstance(item, os.PathLike) and "a text is a str" not in message:
        named = named and repr(os.fspath(item))[-60:-1] in message
    return named and len(message) > len("Item 10 of X is") and " at 0x" not in message


def _kind(message: str) -> str:
    """Leave out what differs from item to item."""
    said = re.sub(r"^Item \d+ of X( \(.*?\))? ", "", message, flags=re.DOTALL)
    return re.sub(r"[\d'].*", "…", said, flags=re.DOTALL)[:60]
