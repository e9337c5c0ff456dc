"""What holds for every engine: all rows, once, as `transform` gives them, whoever is killed."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import joblib
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklearn_pretrained import SharedFeatureCache
from sklearn_pretrained.cache.segments._store import FRESH
from tests.conftest import relative_error
from tests.engines import things

# What the first batch of a process passes again, to see that rows do not depend on their batch.
CHECKED = 16
LARGEST_TASK = 20_000


def equal(ids: Sequence[int], rows: Sequence[Any], expected: np.ndarray) -> float:
    """Each row came once, and is what `transform` gives; return the largest difference."""
    assert sorted(ids) == list(range(len(expected)))
    got = np.stack([np.asarray(row, dtype=np.float32) for row in rows])
    error = relative_error(got, expected[np.asarray(ids)])
    assert error < 1e-5
    return float(error)


def loaded_once() -> None:
    """No process made the network twice, however many tasks of however many cuts it got."""
    loads, passed = things.read_log()
    assert set(loads.values()) == {1}
    assert len(passed) > 0


def pipeline(pictures: Sequence[bytes]) -> Any:
    """Return a fitted pipeline that tells even from odd pictures by heart, more or less."""
    one = make_pipeline(things.featurizer(), LogisticRegression())
    return one.fit(list(pictures), ["odd" if i % 2 else "even" for i in range(len(pictures))])


def searches(folder: Path, *, n_jobs: int, **backend: Any) -> None:
    """A search that joblib sends to a cluster computes there, and its rows are shared."""
    pictures = things.pictures(24)
    things.clear_log()
    pipeline = make_pipeline(things.featurizer(cache=f"{folder}/"), LogisticRegression())
    search = GridSearchCV(pipeline, {"logisticregression__C": [0.1, 1.0]}, cv=2)
    with joblib.parallel_config(n_jobs=n_jobs, **backend):
        search.fit(pictures, [0, 1] * 12)
    _, passed = things.read_log()
    assert passed.keys() >= {*range(24)}  # this process, which fits the best one, is not counted
    assert search.predict(pictures).shape == (24,)
    assert SharedFeatureCache(folder).stats()["forwards"] == 0


class Kills(threading.Thread):
    """Kills workers, each when rows have passed it.

    Parameters
    ----------
    n : int
    """

    def __init__(self, n: int) -> None:
        super().__init__(daemon=True)
        self._left, self.done = n, list[int]()
        self._over = threading.Event()

    def run(self) -> None:
        while self._left and not self._over.wait(0.02):
            working = {
                int(path.name.split(" ")[0])
                for path in Path(things.PLACE).iterdir()
                if " rows " in path.name
            }
            for process in working - {os.getpid(), *self.done}:
                time.sleep(3 * things.PAUSE)  # in the middle of what comes next
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
                    self.done.append(process)
                    self._left -= 1
                break

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()


def survives(
    compute: Callable[[Any, list[bytes]], tuple[Sequence[int], Sequence[Any]]],
    folder: Path,
    *,
    kills: int,
    n: int,
    batch: int,
) -> int:
    """Workers are killed: all rows come, once; what had come is not computed again.

    Parameters
    ----------
    compute : callable
        A featurizer and pictures → their numbers and rows, by an engine.
    folder : Path
        For the cache.
    kills, n : int
        How many workers, and how many pictures.
    batch : int
        Pictures that a worker holds before they are in the cache.

    Returns
    -------
    int
        Pictures that passed the network more than once, since a worker was killed.
    """
    pictures = things.pictures(n)
    expected = things.featurizer().transform(pictures)
    things.clear_log()
    cached = things.featurizer(things.slow_network, cache=f"{folder}/")
    with Kills(kills) as killing:
        ids, rows = compute(cached, pictures)
    assert len(killing.done) == kills
    equal(ids, rows, expected)
    _, passed = things.read_log()
    again = sum(passed[i] for i in range(n)) - n
    processes = kills + 2
    assert again <= kills * batch + processes * CHECKED

    things.clear_log()
    time.sleep(FRESH)  # then workers look again at what others wrote into the folder
    ids, rows = compute(cached, pictures)
    equal(ids, rows, expected)
    _, passed = things.read_log()
    assert passed == {}
    return again
