"""How networks are made: one at a time, from a seed of their own, and nobody waits for himself."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_pretrained import ModuleFeaturizer, release
from sklearn_pretrained.backbones._skeleton import random_network
from sklearn_pretrained.layers import _planning
from sklearn_pretrained.running.eager import unload
from tests.conftest import make_mlp

X = np.random.default_rng(0).normal(size=(12, 8)).astype(np.float32)
ANCHORS = nn.Linear(8, 4)
pytestmark = pytest.mark.timeout(60)


def rows_of(model) -> np.ndarray:
    return ModuleFeaturizer(model, layer="output", device="cpu", cache=None).fit_transform(X)


def make_anchored() -> nn.Module:
    """Make a network of the rows that another one gives."""
    network = nn.Linear(8, 12)
    with torch.no_grad():
        network.weight[:, :4] = torch.from_numpy(rows_of(ANCHORS))
    return network


def test_a_function_that_makes_a_network_may_use_another_network():
    """In `fit` and in `transform`, which load the other one meanwhile."""
    unload()
    ours = ModuleFeaturizer(make_anchored, layer="output", device="cpu", cache=None).fit(X)
    unload()
    rows = ours.transform(X)

    anchored = random_network(make_anchored)
    np.testing.assert_allclose(
        rows, anchored(torch.from_numpy(X)).detach().numpy(), rtol=1e-4, atol=1e-5
    )


def test_threads_that_make_networks_of_networks_do_not_wait_for_each_other():
    """One has begun to load while the other's function is about to load another network."""
    unload()
    inside, found = threading.Event(), []

    def make() -> nn.Module:
        inside.set()
        waiting.wait(0.5)  # until the other thread wants to load, too
        return make_anchored()

    waiting = threading.Event()

    def load() -> None:
        inside.wait(20)
        waiting.set()
        found.append(rows_of(lambda: nn.Linear(8, 3)).shape)

    threads = [
        threading.Thread(target=load, daemon=True),
        threading.Thread(target=lambda: found.append(rows_of(make).shape), daemon=True),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert sorted(found) == [(12, 3), (12, 12)]


def test_a_network_that_is_loaded_is_given_while_another_is_being_made():
    """A service does not stand still because somebody fits."""
    ours = ModuleFeaturizer(ANCHORS, layer="output", device="cpu", cache=None).fit(X)
    rows = ours.transform(X)
    inside, go_on = threading.Event(), threading.Event()

    def make() -> nn.Module:
        inside.set()
        go_on.wait(20)
        return nn.Linear(8, 3)

    fitting = threading.Thread(target=rows_of, args=(make,), daemon=True)
    fitting.start()
    inside.wait(20)
    found: list[np.ndarray] = []
    serving = threading.Thread(target=lambda: found.append(ours.transform(X)), daemon=True)
    serving.start()
    serving.join(10)
    served = len(found)
    go_on.set()
    fitting.join(20)

    assert served == 1
    np.testing.assert_array_equal(found[0], rows)


def test_the_seed_of_random_weights_is_nobody_elses(monkeypatch):
    """Neither this process's next random numbers nor those of a GPU depend on what is loaded."""

    def seeded(*_args):
        raise AssertionError("all GPUs were seeded")

    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded)
    weights = [random_network(lambda: nn.Linear(5, 5)).weight for _ in range(2)]

    assert torch.equal(*weights)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_child_that_is_forked_while_others_plan_and_load_makes_networks():
    """It finds every lock free that threads of its parent held."""
    held, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with _planning._plans_lock:
            held.set()
            go_on.wait(20)

    thread = threading.Thread(target=hold, daemon=True)
    thread.start()
    held.wait(20)
    child = os.fork()
    if child == 0:
        # A child that hangs would be waited for.
        threading.Timer(20, os._exit, (1,)).start()
        os._exit(0 if rows_of(make_mlp()).shape[0] == len(X) else 1)
    _, status = os.waitpid(child, 0)
    go_on.set()
    thread.join(20)

    assert status == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_child_that_is_forked_after_networks_were_released_waits_for_no_thread():
    """Torch's threads are the parent's, whether or not a network is still loaded there."""
    rows = np.ones((4, 6), np.float32)
    ModuleFeaturizer(nn.Linear(6, 2), cache=None).fit(rows).transform(rows)
    release()
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        child = os.fork()
        if child == 0:
            os._exit(torch.get_num_threads() != 1)
        _, status = os.waitpid(child, 0)
    finally:
        torch.set_num_threads(threads)

    assert status == 0


def test_an_interrupt_while_a_thread_is_started_does_not_keep_python_from_ending():
    """The thread that loads ends with its work, whoever knows of it."""
    program = textwrap.dedent("""
        import threading
        from sklearn_pretrained.process._uninterrupted import uninterrupted

        start = threading.Thread.start

        def interrupted(thread):
            start(thread)
            raise KeyboardInterrupt

        threading.Thread.start = interrupted
        uninterrupted(lambda: print("done", flush=True))
    """)
    ended = subprocess.run(
        [sys.executable, "-c", program], timeout=30, capture_output=True, text=True, check=False
    )

    assert ended.stdout == "done\n"
    assert "KeyboardInterrupt" in ended.stderr
