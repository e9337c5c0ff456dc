"""Whatever the caller has set in torch and NumPy, for the process or the thread: the same rows."""

from __future__ import annotations

import contextlib
import operator
import os
import random
import threading
import warnings
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_pretrained import ModuleFeaturizer, PretrainedImageFeaturizer, PretrainedTextFeaturizer
from sklearn_pretrained.running.eager.fast._precision import full_precision
from tests import text_zoo
from tests.conftest import relative_error

X = np.random.default_rng(0).normal(size=(24, 256)).astype(np.float32)
IMAGES = [np.random.default_rng(i).integers(0, 255, (40, 50, 3), dtype=np.uint8) for i in range(20)]
CPU = torch.device("cpu")


@contextlib.contextmanager
def setting(put, value, back) -> Iterator[None]:
    put(value)
    try:
        yield
    finally:
        put(back)


def default_dtype(dtype):
    return setting(torch.set_default_dtype, dtype, torch.float32)


SETTINGS = {
    "bfloat16 by default": lambda: default_dtype(torch.bfloat16),
    "float64 by default": lambda: default_dtype(torch.float64),
    "products of medium precision": lambda: setting(
        torch.set_float32_matmul_precision, "medium", "highest"
    ),
    "everything in bfloat16": lambda: setting(
        lambda how: setattr(torch.backends, "fp32_precision", how), "bf16", "none"
    ),
    "another device by default": lambda: setting(torch.set_default_device, "meta", None),
    "on another device": lambda: torch.device("meta"),
    "inference": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "looking for anomalies": lambda: torch.autograd.set_detect_anomaly(True, check_nan=False),
    "only deterministic": lambda: setting(torch.use_deterministic_algorithms, True, False),
    "NumPy's errors raised": lambda: np.errstate(all="raise"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return text_zoo.make_folder(tmp_path_factory.mktemp("settings") / "encoder", "BERT")


def make_dense() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(256, 256), nn.GELU(), nn.LayerNorm(256), nn.Linear(256, 64))


def all_rows(folder, clear) -> list[np.ndarray]:
    """Compute rows of each kind, from the start."""
    clear()
    how = {"device": "cpu", "cache": None}
    images = PretrainedImageFeaturizer(layer=[1, -1], image_size=64, **how)
    exact = PretrainedImageFeaturizer(layer=1, image_size=64, resize="exact", **how)
    texts = PretrainedTextFeaturizer(str(folder), layer=-1, pooling="mean", **how)
    return [
        ModuleFeaturizer(make_dense, layer="output", **how).fit_transform(X),
        images.fit_transform(IMAGES),
        exact.fit_transform(IMAGES),
        texts.fit_transform(text_zoo.TEXTS),
    ]


@pytest.fixture(scope="module")
def expected(folder):
    from sklearn_pretrained import release

    return all_rows(folder, release)


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.filterwarnings("ignore:Anomaly Detection has been enabled")
def test_a_row_does_not_depend_on_what_the_caller_has_set(name, folder, expected):
    """Neither the one computed meanwhile nor one that is computed later."""
    from sklearn_pretrained import release

    with SETTINGS[name]():
        found = all_rows(folder, release)
    later = all_rows(folder, lambda: None)

    for rows in (found, later):
        for got, right in zip(rows, expected, strict=True):
            assert relative_error(got, right) < 1e-5


def test_the_callers_precision_is_his_again_when_the_last_thread_has_left():
    """Those that come while another one is inside compute exactly, too."""
    inside, leave = threading.Event(), threading.Event()

    def stay() -> None:
        with full_precision(CPU, torch.float32):
            inside.set()
            leave.wait(20)

    with setting(torch.set_float32_matmul_precision, "medium", "highest"):
        thread = threading.Thread(target=stay)
        thread.start()
        inside.wait(20)
        with full_precision(CPU, torch.float32):
            leave.set()
            thread.join()
            among_others = torch.backends.mkldnn.matmul.fp32_precision
        afterwards = torch.backends.mkldnn.matmul.fp32_precision

    assert (among_others, afterwards) == ("ieee", "bf16")


@pytest.mark.parametrize(
    "where", ["", "mkldnn", "mkldnn.matmul", "mkldnn.conv", "mkldnn.rnn", "cuda.matmul"]
)
def test_the_callers_precision_is_found_as_it_was_left(where):
    """What takes its precision from elsewhere goes on doing so, once it is changed there."""
    place = operator.attrgetter(where)(torch.backends) if where else torch.backends
    how = "tf32" if where == "cuda.matmul" else "bf16"

    def precisions() -> list[str]:
        m = torch.backends.mkldnn
        places = torch.backends, m, m.matmul, m.conv, m.rnn, torch.backends.cuda.matmul
        return [one.fp32_precision for one in places]

    def left(compute: bool) -> tuple[list[str], list[str]]:  # noqa: FBT001
        place.fp32_precision = how
        try:
            if compute:
                with full_precision(CPU, torch.float32):
                    assert not {"bf16", "tf32"} & {*precisions()}
            inside = precisions()
        finally:
            place.fp32_precision = "none"
        return inside, precisions()

    assert left(compute=True) == left(compute=False)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_child_that_is_forked_meanwhile_has_the_callers_precision():
    """Nobody in it computes, so that nobody would bring it back."""
    with (
        setting(torch.set_float32_matmul_precision, "medium", "highest"),
        full_precision(CPU, torch.float32),
    ):
        child = os.fork()
        if child == 0:
            os._exit(torch.backends.mkldnn.matmul.fp32_precision != "bf16")
        _, status = os.waitpid(child, 0)

    assert status == 0


def test_the_callers_random_numbers_are_not_used_up(folder):
    """They are the same whether or not a network was loaded and made fast in between."""

    def draw() -> tuple[float, ...]:
        return random.random(), float(np.random.random()), float(torch.rand(()))  # noqa: NPY002

    def seed() -> None:
        random.seed(5)
        np.random.seed(5)  # noqa: NPY002
        torch.manual_seed(5)

    from sklearn_pretrained import release

    seed()
    expected = draw()
    seed()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        all_rows(folder, release)

    assert draw() == expected
