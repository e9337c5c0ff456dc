"""Requests of one item that come at the same time: they share batches, and each gets its row."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_pretrained import ModuleFeaturizer, PretrainedImageFeaturizer, PretrainedTextFeaturizer
from sklearn_pretrained.cache import resolve_cache
from sklearn_pretrained.exceptions import BadItemError
from sklearn_pretrained.inputs import read_rows
from sklearn_pretrained.running import Runner, _together, _wishes
from sklearn_pretrained.running._runner import Past
from tests.conftest import relative_error

PATIENCE = 20.0
N = 12
ITEMS = np.arange(1, N + 1, dtype=np.float32)[:, None]


@pytest.fixture(autouse=True)
def _one_at_a_time(monkeypatch):
    """Let one batch run at a time, and the shortest forwards be shared."""
    monkeypatch.setattr(_together, "_processors", lambda _threads: (1, 1, torch.get_num_threads()))
    monkeypatch.setattr(_together, "_WORTH", 0.0)
    monkeypatch.setattr(_together, "_PATIENCE", PATIENCE)


class Doubling(Runner):
    """Doubles numbers; the first forward lasts until all others wait."""

    in_streams = True

    def __init__(self, past, spoil=lambda samples, rows: rows):
        super().__init__("doubling", past=past)
        self._spoil, self.seen = spoil, []
        self.first, self.go_on = threading.Event(), threading.Event()

    def rows(self, samples, outputs):
        self.seen.append([float(sample[0]) for sample in samples])
        if not self.first.is_set():
            self.first.set()
            assert self.go_on.wait(PATIENCE)
        rows = self._spoil(samples, np.stack([np.asarray(sample) for sample in samples]) * 2)
        return SimpleNamespace(here=lambda: np.hstack([rows] * len(outputs)).astype(np.float32))


@pytest.fixture
def road():
    featurizer = ModuleFeaturizer(nn.Linear(1, 1), layer="output", cache=None)
    return replace(featurizer.fit(ITEMS).road(), canary=None)


def ready(runner):
    """Let no row be compared with that of a second run, so that forwards can be counted."""
    runner.past.steady = {("output", "once more"), ("output", "in a batch")}
    return runner


def ask(road, runner, item):
    """Ask for the row of one item as a request does."""
    runners = SimpleNamespace(dtype="float32", batch_size="auto", load=lambda _backbone: [runner])
    return road.rows(read_rows(item[None]), resolve_cache(None), runners)


def asked_at_once(road, runner, n=N):
    """Have each thread ask for one item, all but the first while that one computes."""
    found = [None] * n

    def work(i):
        try:
            found[i] = ask(road, runner, ITEMS[i])
        except BaseException as error:
            found[i] = error

    threads = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(n)]
    threads[0].start()
    assert runner.first.wait(PATIENCE)
    for thread in threads[1:]:
        thread.start()
    until = time.monotonic() + PATIENCE
    while len(runner.past.together._waiting) < n - 1 and time.monotonic() < until:
        time.sleep(0.001)
    runner.go_on.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in threads)
    return found


def rows_are_right(found, besides=()):
    for i, row in enumerate(found):
        if i not in besides:
            np.testing.assert_array_equal(row, 2 * ITEMS[i][None])


def test_those_who_wait_share_a_batch(road):
    """The first is alone, since it was there alone; each gets its own row."""
    runner = ready(Doubling(Past()))
    rows_are_right(asked_at_once(road, runner))

    assert [len(samples) for samples in runner.seen] == [1, N - 1]
    assert sorted(np.concatenate(runner.seen)) == sorted(ITEMS[:, 0])


def test_one_after_the_other_is_each_alone(road):
    """There is nobody to wait for."""
    runner = ready(Doubling(Past()))
    runner.go_on.set()
    rows_are_right([ask(road, runner, item) for item in ITEMS])

    assert [len(samples) for samples in runner.seen] == [1] * N


def test_batches_that_run_at_the_same_time_take_fair_shares(road, monkeypatch):
    """As many as there are processors, one of which the first request has."""
    monkeypatch.setattr(_together, "_processors", lambda _threads: (3, 1, 1))
    runner = ready(Doubling(Past()))
    together = _together.together(runner.past)
    wish = lambda: _wishes.Wish(runner, SimpleNamespace(recipe="a", outputs=()), None, "auto", None)
    together._how, together._waiting = (3, 1, 1), [wish() for _ in range(8)]
    together._running = {"the first": (0.0, 1)}

    assert [len(together._next(token)[0]) for token in ("a", "b", "c")] == [3, 3, 2]


def test_those_who_come_again_at_once_share_the_next_batch_too(road, monkeypatch):
    """It is not taken before they are there, or a part of the last one's time is over."""

    def spoil(_samples, rows):
        monkeypatch.setattr(_together, "_PAUSE", 10000.0 if len(runner.seen) == 2 else 0.0)
        return rows

    runner = ready(Doubling(Past(), spoil))

    def rows(*how):
        if runner.seen:
            road.rows(*how)
        return road.rows(*how)

    again = SimpleNamespace(rows=rows)
    rows_are_right(asked_at_once(again, runner))

    assert [len(samples) for samples in runner.seen] == [1, N - 1, N - 1]


def test_one_who_comes_again_is_not_kept_waiting(road, monkeypatch):
    """He computes in his own thread, as soon as the others are gone."""
    monkeypatch.setattr(_together, "_PAUSE", 10000.0)
    runner = ready(Doubling(Past()))
    rows_are_right(asked_at_once(road, runner, 2))
    while runner.past.together._running:
        time.sleep(0.001)
    threads = []
    runner._spoil = lambda _samples, rows: threads.append(threading.current_thread()) or rows
    ask(road, runner, ITEMS[0])

    assert threads == [threading.current_thread()]


def failing(samples, rows):
    if any(sample[0] == 5 for sample in samples):
        raise ZeroDivisionError("item 5")
    return rows


def of_no_number(samples, rows):
    rows[[sample[0] == 5 for sample in samples]] = np.nan
    return rows


def spoiling_all(samples, rows):
    return rows * np.nan if any(sample[0] == 5 for sample in samples) else rows


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (failing, ZeroDivisionError),
        (of_no_number, BadItemError),
        (spoiling_all, BadItemError),
    ],
)
def test_a_bad_item_is_an_error_of_its_own_request_alone(road, spoil, error):
    """Whatever it does to the batch that it shares, batches are as large as before."""
    runner = ready(Doubling(Past(), spoil))
    found = asked_at_once(road, runner)

    rows_are_right(found, besides=[4])
    assert isinstance(found[4], error)
    assert runner.past.together._room.most is None


def test_where_an_item_fails_the_others_still_share(road):
    """Halves of the batch are tried, and of the one that fails again."""
    runner = ready(Doubling(Past(), failing))
    asked_at_once(road, runner)

    whole = [samples for samples in runner.seen if 5 not in samples]
    assert sorted(np.concatenate(whole)) == [item for item in ITEMS[:, 0] if item != 5]
    assert len(whole) < N // 2 + 1


def too_many(samples, rows):
    return np.vstack([rows, rows]) if len(samples) > 1 else rows


def without_memory(samples, rows):
    if len(samples) > 1:
        raise MemoryError
    return rows


@pytest.mark.parametrize("spoil", [too_many, without_memory])
def test_a_network_that_takes_one_item_alone_gives_all_rows(road, spoil):
    """In smaller batches, which later ones are from the start."""
    runner = ready(Doubling(Past(), spoil))
    rows_are_right(asked_at_once(road, runner))

    assert runner.past.together._room.most == 1


def test_a_network_whose_rows_depend_on_the_batch_runs_each_item_alone(road):
    """The first batch that is shared is checked as any first batch is; later ones are not tried."""
    runner = Doubling(Past(), lambda _samples, rows: rows - rows.mean(0) + 2 * len(rows))
    runner.past.steady = {("output", "once more")}
    found = asked_at_once(road, runner)
    for row in found:
        np.testing.assert_array_equal(row, [[2]])
    runner.first.clear()
    runner.go_on.clear()
    before = len(runner.seen)
    threads = [
        threading.Thread(target=ask, args=(road, runner, item), daemon=True) for item in ITEMS[:4]
    ]
    for thread in threads:
        thread.start()
    runner.first.wait(PATIENCE)
    runner.go_on.set()
    for thread in threads:
        thread.join(PATIENCE)

    assert [len(samples) for samples in runner.seen[before:]] == [1] * 4


def test_other_readings_are_not_mixed(road):
    """A batch reads one thing of items of one recipe."""
    other = ModuleFeaturizer(nn.Linear(1, 1), layer="output", cache=None).fit(ITEMS).road()
    other = replace(other, canary=None)
    runner = ready(Doubling(Past()))
    roads = iter([road, *[road, other] * N])
    mixed = SimpleNamespace(rows=lambda *how: next(roads).rows(*how))
    rows_are_right(asked_at_once(mixed, runner))

    assert sorted(map(len, runner.seen)) == [1, (N - 1) // 2, N // 2]


def test_who_is_interrupted_while_he_waits_leaves_no_trace(road, monkeypatch):
    """The others go on, and nobody computes for him."""
    usual = _wishes.Wish.wait

    def wait(self, seconds):
        usual(self, seconds)
        if self.sample[0] == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(_wishes.Wish, "wait", wait)
    runner = ready(Doubling(Past()))
    found = asked_at_once(road, runner)

    rows_are_right(found, besides=[4])
    assert isinstance(found[4], KeyboardInterrupt)
    assert (runner.past.together._waiting, runner.past.together._running) == ([], {})


@pytest.mark.parametrize("lost", ["before", "while"])
def test_nobody_waits_for_ever(road, monkeypatch, lost):
    """For one who was interrupted before he could say so, or for a thread that never ends."""
    monkeypatch.setattr(_together, "_PATIENCE", 0.05)
    runner = ready(Doubling(Past()))
    runner.go_on.set()
    together = _together.together(runner.past)
    together._running["lost"] = (0.0 if lost == "before" else time.perf_counter() + 3600, 1)

    rows_are_right([ask(road, runner, item) for item in ITEMS])
    assert ("lost" in together._running) == (lost == "while")


def test_who_asks_from_within_a_forward_waits_for_nobody(road):
    """A network may run another one, or itself, as part of its forward."""
    past = Past()

    def nested(samples, rows):
        if samples[0][0] < N + 1:
            ask(road, runner, samples[0].numpy() + N)
        return rows

    runner = ready(Doubling(past, nested))
    rows_are_right(asked_at_once(road, runner))


def test_threads_that_cannot_be_started_are_done_without(road, monkeypatch):
    """As while Python ends."""

    def submit(*_):
        raise RuntimeError("cannot schedule new futures after shutdown")

    monkeypatch.setattr(_together, "_pool", lambda *_: SimpleNamespace(submit=submit))
    runner = ready(Doubling(Past()))
    rows_are_right(asked_at_once(road, runner))

    assert {len(samples) for samples in runner.seen} == {1}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_child_waits_for_no_thread_of_its_parent(road):
    """Who computes there, and who waits, is not in the child."""
    runner = ready(Doubling(Past()))
    thread = threading.Thread(target=ask, args=(road, runner, ITEMS[0]), daemon=True)
    thread.start()
    assert runner.first.wait(PATIENCE)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, ask(road, runner, ITEMS[1]).tobytes())
        finally:
            os._exit(0)
    os.close(writing)
    got = os.read(reading, 100)
    os.waitpid(child, 0)
    os.close(reading)
    runner.go_on.set()
    thread.join(PATIENCE)

    assert np.frombuffer(got, np.float32) == 2 * ITEMS[1]


@pytest.mark.parametrize("kind", ["images", "texts", "own"])
def test_rows_are_those_of_one_after_the_other(kind, patches):
    """With real networks, from sixteen threads."""
    if kind == "images":
        ours, X = (
            PretrainedImageFeaturizer(layer=[2, -1], image_size=64, cache=None),
            (patches * 32)[:32],
        )
    elif kind == "texts":
        ours = PretrainedTextFeaturizer(layer=[1, -1], cache=None)
        X = [("rain on the old bridge " * 40)[: 5 + 11 * i] for i in range(32)]
    else:
        torch.manual_seed(0)
        ours = ModuleFeaturizer(nn.Sequential(nn.Linear(9, 7), nn.ReLU()), cache=None)
        X = np.random.default_rng(0).normal(size=(32, 9)).astype(np.float32)
    ours.fit(X).warm_up()
    expected = [ours.transform(X[i : i + 1]) for i in range(32)]
    found = {}

    def work(k):
        for i in range(k, 32, 16):
            found[i] = ours.transform(X[i : i + 1])

    threads = [threading.Thread(target=work, args=(k,)) for k in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert relative_error(np.vstack([found[i] for i in range(32)]), np.vstack(expected)) < 1e-5
