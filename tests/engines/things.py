"""Pictures that name themselves, and a network that writes down what passes it, in any process."""

from __future__ import annotations

import functools
import io
import os
from collections import Counter
from collections.abc import Callable
from os import getpid
from pathlib import Path
from time import sleep, time_ns

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer
from torch import nn

from sklearn_pretrained import PretrainedImageFeaturizer, PretrainedTextFeaturizer
from sklearn_pretrained.backbones.transformers import _loading

LOG = "SKLEARN_PRETRAINED_TEST_LOG"
# A text is told to every process; what os.environ holds is not, and rows would not be shared.
PLACE = os.environ.get(LOG, "")
PAUSE = 0.05


def note(word: str) -> None:
    """Note a word of this process, as an empty file: of code that opens files, rows stay apart."""
    if PLACE:
        Path(f"{PLACE}/{getpid()} {time_ns()} {word}").touch()


class Noting(nn.Module):
    """Writes down which pictures pass."""

    def __init__(self, pause: float) -> None:
        super().__init__()
        self.body, self.pause = nn.Conv2d(3, 6, 3), pause

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.device.type == "cpu" and not torch.compiler.is_compiling():
            corner = (x[:, :2, 0, 0] * 255).round().to(torch.int64).tolist()
            sleep(self.pause)
            note("rows " + ",".join(str(256 * high + low) for high, low in corner))
        return self.body(x).relu()


def network() -> nn.Module:
    """Make the network; the log tells how often that was."""
    note("load")
    torch.manual_seed(0)
    return Noting(0.0)


def slow_network() -> nn.Module:
    """Make the same network, slow enough that it can be killed in the middle."""
    torch.manual_seed(0)
    return Noting(PAUSE)


def prepare(image: Image.Image) -> torch.Tensor:
    """Turn a picture into numbers."""
    return torch.from_numpy(np.array(image.crop((0, 0, 12, 12)))).permute(2, 0, 1).float() / 255


def prepare_photo(image: Image.Image) -> torch.Tensor:
    """Turn a cut of a photograph into numbers."""
    return torch.from_numpy(np.array(image.crop((0, 0, 48, 48)))).permute(2, 0, 1).float() / 255


def picture(i: int) -> bytes:
    """Return the bytes of picture i, whose corner says i."""
    pixels = np.random.default_rng(i).integers(0, 256, (12, 12, 3), np.uint8)
    pixels[0, 0] = (i // 256, i % 256, 0)
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, "PNG")
    return held.getvalue()


@functools.cache
def _photographs() -> list[np.ndarray]:
    return list(load_sample_images().images)


def photo(i: int) -> bytes:
    """Return a cut of a photograph, whose corner says i."""
    image = _photographs()[i % 2]
    top, left = 9 * (i // 2 % 40), 23 * (i // 80 % 25)
    pixels = image[top : top + 48, left : left + 48].copy()
    pixels[0, 0] = (i // 256, i % 256, 0)
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, "PNG")
    return held.getvalue()


def pictures(n: int) -> list[bytes]:
    """Return n different pictures."""
    return [picture(i) for i in range(n)]


def featurizer(model: object = network, **parameters: object) -> PretrainedImageFeaturizer:
    """Return a fitted featurizer over the network that notes."""
    one = PretrainedImageFeaturizer(
        model, preprocessing=prepare, layer="body", cache=None, batch_size=8
    )
    return one.set_params(**parameters).fit([picture(0)])


def unchanged(rows: np.ndarray) -> np.ndarray:
    """Give rows as they are; whoever opens this function imports what notes."""
    return rows


def text_featurizer(texts: list[str]) -> Pipeline:
    """Return a fitted featurizer of texts, whose network is noted when it is read."""
    featurizer = PretrainedTextFeaturizer(layer=1, cache=None)
    return make_pipeline(featurizer, FunctionTransformer(unchanged)).fit(texts)


def _noted(load: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    @functools.wraps(load)
    def noting(*given: object, **options: object) -> nn.Module:
        note("load")
        return load(*given, **options)

    return noting


_loading.load = _noted(_loading.load)


def clear_log() -> None:
    """Forget what was noted."""
    for path in Path(PLACE).iterdir():
        path.unlink()


def read_log() -> tuple[dict[int, int], Counter[int]]:
    """Read how often each worker made the network, and how often each picture passed it."""
    loads: Counter[int] = Counter()
    passed: Counter[int] = Counter()
    for path in Path(PLACE).iterdir():
        process, _, word, *rest = path.name.split(" ")
        if int(process) == getpid():
            continue
        if word == "load":
            loads[int(process)] += 1
        else:
            passed.update(map(int, rest[0].split(",")))
    return dict(loads), passed
