"""Several batches at the same time: the rows and errors of one batch at a time."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import joblib
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from sklearn_pretrained import ModuleFeaturizer, PretrainedImageFeaturizer, PretrainedTextFeaturizer
from sklearn_pretrained.cache import resolve_cache
from sklearn_pretrained.inputs import read_rows
from sklearn_pretrained.running import Runner, _prepare, _streams
from sklearn_pretrained.running._batches import batches
from tests.conftest import relative_error

PATIENCE = 20.0


@pytest.fixture
def streams(monkeypatch):
    """Let requests use three streams, whatever this process may use."""
    monkeypatch.setattr(_streams, "_threads", lambda: 3)
    return 3


class Doubling(Runner):
    """Doubles rows in streams, calling a function before each batch."""

    in_streams = True

    def __init__(self, before):
        super().__init__("doubling")
        self._before = before

    def rows(self, samples, outputs):
        self._before(samples)
        rows = np.stack([np.asarray(sample) for sample in samples]) * np.float32(2)
        return SimpleNamespace(here=lambda: np.hstack([rows] * len(outputs)))


def doubled(before, n=64):
    """Double ``n`` rows of one number, counted from 1, in batches of four."""
    X = np.arange(1, n + 1, dtype=np.float32)[:, None]
    featurizer = ModuleFeaturizer(nn.Linear(1, 1), layer="output", cache=None).fit(X)
    runners = SimpleNamespace(
        dtype="float32", batch_size=4, load=lambda _backbone: [Doubling(before)]
    )
    return featurizer.road().rows(read_rows(X), resolve_cache(None), runners)


@pytest.mark.parametrize("kind", ["images", "texts", "own"])
def test_rows_are_those_of_one_batch_at_a_time(kind, patches, monkeypatch):
    """To the bit, if a batch has one thread either way."""
    if kind == "images":
        ours, X = PretrainedImageFeaturizer(layer=[2, -1], image_size=64, cache=None), patches * 2
    elif kind == "texts":
        ours = PretrainedTextFeaturizer(layer=[1, -1], cache=None)
        X = [("rain on the old bridge " * 40)[: 5 + 11 * i] for i in range(60)]
    else:
        torch.manual_seed(0)
        ours = ModuleFeaturizer(nn.Sequential(nn.Linear(9, 7), nn.ReLU()), cache=None, batch_size=5)
        X = np.random.default_rng(0).normal(size=(60, 9)).astype(np.float32)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        ours.fit(X)
        ours.transform(X)
        expected = ours.transform(X)
        monkeypatch.setattr(_streams, "_threads", lambda: 3)
        in_streams = ours.transform(X)
    finally:
        torch.set_num_threads(threads)

    assert relative_error(in_streams, expected) < 1e-6


def test_batches_run_at_the_same_time(streams):
    """As many as there are streams: each waits here until all have come."""
    together = threading.Barrier(streams)
    # The first batch is alone: rows are compared with it before others are sent.
    waits = iter([False] + [True] * streams)

    def meet(_samples):
        if threading.current_thread().name.startswith("stream") and next(waits, False):
            together.wait(PATIENCE)

    rows = doubled(meet)

    assert not together.broken
    np.testing.assert_array_equal(rows[:, 0], 2 * np.arange(1, 65))


@pytest.mark.parametrize("n", [16, 32, 48, 64, 128])
def test_a_small_load_is_cut_into_whole_batches(n):
    """Each stream has one from the first window on, and weights are laid out for one size."""
    backbone = SimpleNamespace(first_window=8, window=64, lengths=lambda _samples: None)
    image = torch.empty(3, 224, 224)
    found = [
        batches([image] * len(window), backbone, "auto", image.device, even=False, parts=2)
        for window in _prepare._cut(range(n), backbone, "auto", 2)
    ]

    assert len(found[0]) == 2
    assert {len(batch) for window in found for batch in window} == {8}
    assert sum(map(len, found)) == n // 8


@given(st.lists(st.integers(1, 256), min_size=20, max_size=400), st.integers(2, 16), st.booleans())
def test_streams_of_texts_end_together(lengths, parts, even):
    """Each takes the next batch when it is free; none is left with much when others are done."""
    backbone = SimpleNamespace(lengths=lambda samples: samples)
    cpu = torch.device("cpu")
    cut = batches(lengths, backbone, "auto", cpu, even=even, parts=parts)
    tokens = [sum(lengths[i] for i in batch) for batch in cut]

    assert sorted(i for batch in cut for i in batch) == list(range(len(lengths)))
    assert not even or all(len({lengths[i] for i in batch}) == 1 for batch in cut)
    if sum(lengths) <= min(2048, 384 * parts):
        return
    ends = [0] * parts
    for n in tokens:
        ends[ends.index(min(ends))] += n
    assert max(ends) <= sum(lengths) / parts + 256
    assert max(tokens) <= 1536


def test_one_item_starts_no_thread(monkeypatch, streams):
    """A service's single row has all threads, and waits for no other."""
    monkeypatch.setattr(_streams, "_pool", lambda *_: pytest.fail("a stream was used"))
    started = lambda _: pytest.fail("a thread was started")
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", started)
        np.testing.assert_array_equal(doubled(lambda _: None, n=1), [[2]])
    np.testing.assert_array_equal(doubled(lambda _: None, n=4)[:, 0], [2, 4, 6, 8])


def test_one_thread_means_one_batch_at_a_time(monkeypatch):
    """That is what joblib's workers get, and what torch.set_num_threads(1) asks for."""
    monkeypatch.setattr(_streams, "_pool", lambda *_: pytest.fail("a stream was used"))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        doubled(lambda _: None)
    finally:
        torch.set_num_threads(threads)


def test_threads_of_others_stay_as_many(streams):
    """Those of the caller, and those that a later thread begins with."""
    before = torch.get_num_threads()
    torch.set_num_threads(5)
    try:
        _streams._forget()
        seen = []
        doubled(lambda _: seen.append(torch.get_num_threads()))
        later, until = [], time.monotonic() + PATIENCE
        while later[-1:] != [5] and time.monotonic() < until:  # a stream may just be beginning
            other = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
            other.start()
            other.join()
        assert (torch.get_num_threads(), later[-1]) == (5, 5)
        assert set(seen[4:]) == {1}
    finally:
        torch.set_num_threads(before)


def test_cores_are_those_that_a_container_allows(monkeypatch):
    """Torch counts the machine's; joblib knows the limits."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: 64)
    monkeypatch.setattr(joblib, "cpu_count", lambda: 6)
    assert _streams._threads() == 6
    assert _streams.Streams([Doubling(None)]).count == 6


@pytest.mark.parametrize(("cores", "count", "each"), [(2, 2, 1), (16, 16, 1), (64, 16, 4)])
def test_many_cores_share_sixteen_streams(monkeypatch, cores, count, each):
    """So that the activations of sixteen batches are the most that memory must hold."""
    monkeypatch.setattr(_streams, "_threads", lambda: cores)
    asked = []
    monkeypatch.setattr(_streams, "_pool", lambda *pool: asked.append(pool[:2]) or _Inline())
    doubled(lambda _: None)
    assert set(asked) == {(count, each)}


@pytest.mark.parametrize(
    ("device", "cores", "feeders"), [("cpu", 2, 1), ("cpu", 16, 4), ("cuda", 6, 6), ("cuda", 32, 8)]
)
def test_threads_that_decode_keep_the_network_busy(monkeypatch, device, cores, feeders):
    """One for each four streams; for a GPU all, at most eight, since it would wait for one."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: cores)
    monkeypatch.setattr(joblib, "cpu_count", lambda: cores)
    runner = SimpleNamespace(device=torch.device(device), in_streams=device == "cpu")
    assert _streams.Streams([runner]).feeders == feeders


class _Inline:
    """Does at once what it is given."""

    @staticmethod
    def submit(work, *args):
        done = _streams.Future()
        done.set_result(work(*args))
        return done


def test_a_batch_that_fails_in_a_stream_is_done_again_by_who_asked(streams):
    """Memory that runs out there halves the batch, with one warning for the user."""
    caller = threading.current_thread()

    def little_memory(samples):
        if threading.current_thread() is not caller or len(samples) > 2:
            raise MemoryError

    with pytest.warns(RuntimeWarning, match="smaller batches are used") as told:
        rows = doubled(little_memory)
    assert len(told) == 1
    np.testing.assert_array_equal(rows[:, 0], 2 * np.arange(1, 65))


def test_a_network_that_fails_behind_what_is_asked_gives_what_is_asked(streams):
    """What is only kept for later requests is left out, in streams as well."""
    calls = []

    class Failing(Doubling):
        def rows(self, samples, outputs):
            calls.append(len(outputs))
            if len(outputs) > 1:
                raise RuntimeError("the head fails")
            return super().rows(samples, outputs)

    X = np.arange(1, 65, dtype=np.float32)[:, None]
    featurizer = ModuleFeaturizer(nn.Sequential(nn.Linear(1, 1), nn.ReLU()), layer="0", cache=None)
    road = featurizer.fit(X).road()
    layers = road.plan.layers.values()
    kept = [*road.outputs, *((x, x.pooling("auto")) for x in layers if x != road.outputs[0][0])]
    runner = Failing(lambda _: None)
    runners = SimpleNamespace(dtype="float32", batch_size=4, load=lambda _backbone: [runner])
    rows = replace(road, kept=kept).rows(read_rows(X), resolve_cache("memory"), runners)

    np.testing.assert_array_equal(rows[:, 0], 2 * X[:, 0])
    assert calls.count(1) > calls.count(len(kept)) > 0


def test_an_error_in_a_stream_is_the_users(streams):
    """It is raised where the rows were asked for."""

    def fail(samples):
        if 33 in np.ravel(samples):
            raise ZeroDivisionError("row 32")

    with pytest.raises(ZeroDivisionError, match="row 32"):
        doubled(fail)


def test_a_request_that_ends_early_leaves_no_batch_running(streams):
    """Batches that wait are dropped, and those that run are waited for."""
    running, most, lock = [0], [0], threading.Lock()
    slow = threading.Event()

    def count(samples):
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        slow.wait(0.02)
        with lock:
            running[0] -= 1
        if samples[0] == 41:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        doubled(count, n=400)
    assert running[0] == 0
    assert most[0] > 1


def test_requests_share_the_streams(streams):
    """Four at once run no more batches at the same time than one."""
    running, most, lock = [0], [0], threading.Lock()
    slow = threading.Event()

    def count(samples):
        if threading.current_thread().name.startswith("stream"):
            with lock:
                running[0] += 1
                most[0] = max(most[0], running[0])
            slow.wait(0.002)
            with lock:
                running[0] -= 1

    rows = joblib.Parallel(4, "threading")(joblib.delayed(doubled)(count) for _ in range(4))
    assert 1 < most[0] <= streams
    for found in rows:
        np.testing.assert_array_equal(found[:, 0], 2 * np.arange(1, 65))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_forked_child_has_streams_of_its_own(streams):
    """The parent's threads are not in it."""
    doubled(lambda _: None)
    child = os.fork()
    if child == 0:
        right = doubled(lambda _: None)[:, 0].tolist() == [2.0 * i for i in range(1, 65)]
        os._exit(0 if right else 1)
    assert os.waitpid(child, 0)[1] == 0
