"""Ctrl-C, wherever it comes, leaves networks, hooks and claims as they should be."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
import sys
import threading

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from sklearn_pretrained import FeatureCache, ModuleFeaturizer
from sklearn_pretrained.backbones.own._module import ModuleBackbone
from sklearn_pretrained.cache.disk import _claims
from sklearn_pretrained.running import eager
from sklearn_pretrained.running.eager.fast import _fold, _pairs
from tests import interrupts
from tests.conftest import relative_error


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(sys, "settrace") or sys.platform == "win32", reason="signals")
def test_interrupts_at_random_places_leave_nothing_behind():
    """Rows are right, nobody waits, no claim is left; ``python -m tests.interrupts`` tries 500."""
    done, wrong = interrupts.run(40, seed=1)

    assert wrong == []
    assert sum(done.values()) == 40
    assert len(done) == 4


def featurizer(network: nn.Module, **parameters) -> ModuleFeaturizer:
    return ModuleFeaturizer(
        network, layer="output", pooling="flatten", device="cpu", **{"cache": None, **parameters}
    )


@pytest.mark.slow
@pytest.mark.parametrize("where", [_fold.fold, _fold._Chain.install, _pairs.flow])
def test_an_interrupt_at_any_line_of_rearranging_is_as_if_it_had_not_begun(where):
    """No convolution is folded without the batch norm behind it, and nobody goes on listening."""
    network = interrupts.make_network()
    with torch.inference_mode():
        right = network(torch.from_numpy(interrupts.IMAGES)).flatten(1).numpy()
    reached = 0
    for stop in range(1, 100, 3):
        eager.unload()
        ours = featurizer(network).fit(interrupts.IMAGES)
        lines = 0

        def local(frame, event, _arg, stop=stop):
            nonlocal lines
            if event == "line" and frame.f_lineno not in interrupts.with_lines(
                frame.f_code.co_filename
            ):
                lines += 1
                if lines == stop:
                    sys.settrace(None)
                    raise KeyboardInterrupt
            return local

        threading.settrace(lambda f, *_, local=local: local if f.f_code is where.__code__ else None)
        try:
            ours.transform(interrupts.IMAGES)
        except KeyboardInterrupt:
            reached += 1
        finally:
            threading.settrace(None)
        for _ in range(2):
            assert relative_error(ours.transform(interrupts.IMAGES), right) < 1e-5
        if lines < stop:
            break
    assert reached >= 1


def _doubled(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    return F.conv2d(x, weight * 2, bias)


def calling(monkeypatch, *, stop: int) -> None:
    """Interrupt a backbone's n-th forward."""
    usual, calls = ModuleBackbone.call, itertools.count(1)

    def call(self, network, batch):
        if next(calls) >= stop:
            raise KeyboardInterrupt
        return usual(self, network, batch)

    monkeypatch.setattr(ModuleBackbone, "call", call)


@pytest.mark.parametrize("stop", range(1, 7))
def test_a_step_that_was_being_tried_is_not_taken(stop, monkeypatch):
    """The trial of a step that would have been left out is interrupted, and it is left out."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)).eval()
    network[0]._conv_forward = _doubled  # which only a trial finds out
    with torch.no_grad():
        right = network(torch.from_numpy(interrupts.IMAGES)).flatten(1).numpy()
    eager.unload()
    ours = featurizer(network).fit(interrupts.IMAGES)
    with monkeypatch.context() as patch:
        calling(patch, stop=stop)
        with pytest.raises(KeyboardInterrupt):
            ours.transform(interrupts.IMAGES)

    assert relative_error(ours.transform(interrupts.IMAGES), right) < 1e-5


def test_a_second_interrupt_while_claims_are_given_up_blocks_nobody(tmp_path, monkeypatch):
    """Also not the process itself, at its next transform."""
    X = np.random.default_rng(0).normal(size=(200, 8)).astype(np.float32)
    cache = FeatureCache(tmp_path / "features.sqlite")
    torch.manual_seed(0)
    ours = featurizer(nn.Linear(8, 4), cache=cache, batch_size=8).fit(X)

    def interrupted(*_args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        calling(patch, stop=8)
        patch.setattr(_claims, "free", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ours.transform(X)
    expected = featurizer(ours.model).fit(X).transform(X)

    np.testing.assert_allclose(ours.transform(X), expected, rtol=1e-5, atol=1e-6)
    with contextlib.closing(sqlite3.connect(cache.path)) as connection:
        assert connection.execute("SELECT count(*) FROM claims").fetchone() == (0,)
