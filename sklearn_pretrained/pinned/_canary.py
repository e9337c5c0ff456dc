"""A loaded network → 64 numbers for one fixed item, which tell whether rows are as they were."""

from __future__ import annotations

import base64
import copy
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .._outputs import Output, key
from ..exceptions import LayerError, ProvenanceError, ProvenanceWarning
from ..process import keep, remembered, warn
from ..recipe import PRECISIONS

if TYPE_CHECKING:
    from ..backbones import Backbone
    from ..running import Reading, Runner

SWITCH = "SKLEARN_PRETRAINED_CANARY"
NUMBERS = 64

TEXT = "Café №5: the naïve fox — 3,14 km away… 東京 🦊 said “no” [SEP] twice."
"""Accents, signs, another script, an emoji, and what only looks like a special token."""

_REMEDY = (
    "The estimators after this one learned from the old rows. Install the versions used at fit, "
    f"or fit again (them too); set the environment variable {SWITCH}=0 to continue with the "
    "current rows."
)
_known: dict[tuple[str, str], dict[str, str]] = {}
_MOST_KNOWN = 256
_unreadable: set[str] = set()
keep(f"{__name__}._known", "canaries", clear=_known.clear, size=_known.__len__)
keep(
    f"{__name__}._unreadable",
    "networks that cannot read their canary",
    clear=_unreadable.clear,
    size=_unreadable.__len__,
)


class Canary:
    """The canary of one fitted estimator: what was recorded, beside what a network gives.

    Parameters
    ----------
    item : callable
        Gives the content of the one fixed item. It is kept, as long as the estimator remembers
        its road.
    outputs : sequence of (Layer, str)
        What is read of it.
    recipe : str
        Fingerprint of all that decides a row.
    dtype : str
        The precision.
    then : list of str or None
        What was recorded, one for each output.
    differ : callable
        Says what is of another version than then.
    """

    def __init__(
        self,
        item: Callable[[], Any],
        outputs: Sequence[Output],
        *,
        recipe: str,
        dtype: str,
        then: list[str] | None,
        differ: Callable[[], str],
    ) -> None:
        self._item, self._names = item, [key(output) for output in outputs]
        self._recipe, self._dtype, self._then, self._differ = recipe, dtype, then, differ
        self._kept = [""] * len(self._names)
        self._passed: set[Any] = set()

    @property
    def has_passed(self) -> bool:
        """Whether it was compared with the past, and found as it was."""
        return bool(self._passed)

    def check(self, backbone: Backbone, runner: Runner, reading: Reading) -> None:
        """Compare a network's canary with that of the past, or compute it where there is none."""
        from ..running import is_out_of_memory

        if runner.device in self._passed or not is_on():
            return
        try:
            # A copy, which may come to ask for less.
            now = self._compute(self._names, backbone, runner, replace(reading))
        except Exception as error:
            if isinstance(error, LayerError) or is_out_of_memory(error):
                raise
            if self._then:
                raise ProvenanceError(
                    "The network cannot read the canary, a fixed item that it could read at fit, "
                    "so its rows cannot be compared with those at fit: "
                    f"{type(error).__name__}: {error}. {self._differ()} {_REMEDY}"
                ) from error
            # A network of one's own may read nothing but its own kind of item.
            warn_unreadable(self._recipe, backbone.name, error)
            return
        self._compare(now)
        self._passed.add(runner.device)

    def sketches(
        self, backbone: Backbone, runner: Runner, reading: Reading
    ) -> dict[str, str] | None:
        """Return what a network gives for each output of a reading; None where it has no canary."""
        if not is_on():
            return None
        names = [key(output) for output in reading.outputs]
        try:
            self._compute(names[: reading.asked], backbone, runner, reading)
        except Exception:
            return None  # `check` says so
        ours = _known[self._recipe, str(runner.device)]
        return {name: ours[name] for name in names if name in ours}

    def believe(self, sketches: Mapping[str, str]) -> None:
        """Take for known what was kept with rows that another process computed."""
        self._kept = [sketches.get(name, "") for name in self._names]

    def recall(self) -> list[str] | None:
        """Return what this process knows of it, once that is compared with what was recorded."""
        now = None
        if is_on():
            now = self._kept if all(self._kept) else known(self._recipe, self._names)
        if now is not None:
            self._compare(now)
        return now

    def _compute(
        self, names: Sequence[str], backbone: Backbone, runner: Runner, reading: Reading
    ) -> list[str]:
        """Return the canaries of a reading's first outputs; each is computed once in a process.

        Raises what the network raises where it cannot read the item.
        """
        from ..taps import on_cpu_by_default

        ours = _known.setdefault((self._recipe, str(runner.device)), {})
        if len(_known) > _MOST_KNOWN:
            _known.pop(next(iter(_known)), None)
        if not all(name in ours for name in names):
            # A copy: what a backbone counts, such as texts that were cut, is not about the canary.
            reader = copy.copy(backbone)
            vars(reader)["truncation"] = "cut"  # also where a user's long texts are errors
            with on_cpu_by_default():
                samples = reader.prepare([self._item()])
            if isinstance(samples[0], Exception):
                raise samples[0]
            values = reading.rows(runner, samples).here()[0]
            for layer, pooling, part in reading.parts(values):
                if np.isfinite(part).all():
                    ours[key((layer, pooling))] = sketch(part)
            if not all(name in ours for name in names):
                raise ValueError("the network returns NaN or infinity for it")
        return [ours[name] for name in names]

    def _compare(self, now: Sequence[str]) -> None:
        moved = compare(tuple(self._then), tuple(now), self._dtype) if self._then else None
        if moved is not None:
            raise ProvenanceError(
                "The network does not give the rows that it gave at fit: the row of the canary, a "
                f"fixed item, differs by {moved[1]:.1e} of its norm at "
                f"{self._names[moved[0]]} (allowed for {self._dtype}: "
                f"{PRECISIONS[self._dtype].machine:.0e}). {self._differ()} {_REMEDY}"
            )


def is_on() -> bool:
    """Tell whether canaries are recorded and compared."""
    return os.environ.get(SWITCH, "1").upper() not in {"0", "FALSE", "NO", "OFF"}


def text() -> str:
    """Return the text that is the canary of text encoders."""
    return TEXT


def image() -> NDArray[np.uint8]:
    """Draw the image that is the canary of networks over images: gradients, edges, a texture."""
    y, x = np.mgrid[:300, :400]
    red = x * 255 // 399
    green = ((x // 25 + y // 20) % 2) * 200 + y // 6
    blue = (x * y + 7 * x) % 256
    return np.stack([red, green, blue], axis=2).astype(np.uint8)


def row(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return the numbers that are the canary of networks over numeric rows."""
    return np.cos(np.arange(1, 1 + int(np.prod(shape)))).astype(np.float32).reshape(shape)


def sketch(values: NDArray[np.float32]) -> str:
    """Fold a row into few numbers that nearly keep distances, written as text."""
    # RandomState's numbers are the same in every version of NumPy.
    signs = np.random.RandomState(0).choice([-1.0, 1.0], len(values))
    folded = np.pad(values * signs, (0, -len(values) % NUMBERS)).reshape(-1, NUMBERS).sum(axis=0)
    return base64.b64encode(folded.astype("<f4").tobytes()).decode()


def known(recipe: str, names: Sequence[str]) -> list[str] | None:
    """Return the canaries of some outputs, where this process has computed them all."""
    for (computed, _), ours in list(_known.items()):
        if computed == recipe and all(name in ours for name in names):
            return [ours[name] for name in names]
    return None


@remembered("compared canaries", maxsize=64)
def compare(then: tuple[str, ...], now: tuple[str, ...], dtype: str) -> tuple[int, float] | None:
    """Return which output moved farthest, and how far, where that is beyond the tolerance."""
    moved = [_distance(*pair) for pair in zip(then, now, strict=True)]
    worst = int(np.argmax(moved))
    return None if moved[worst] <= PRECISIONS[dtype].machine else (worst, moved[worst])


def _distance(then: str, now: str) -> float:
    """Return how far a canary moved, relative to its norm."""
    old, new = (np.frombuffer(base64.b64decode(text), "<f4") for text in (then, now))
    return float(np.linalg.norm(new - old) / max(float(np.linalg.norm(old)), 1e-12))


def warn_unreadable(recipe: str, name: str, error: Exception) -> None:
    """Say once in a process that a network has no canary, and why."""
    if recipe in _unreadable:
        return
    _unreadable.add(recipe)
    warn(
        f"{name} could not read the canary, a fixed item that detects changes caused by other "
        f"library versions: {type(error).__name__}: {error}. Rows are correct, but such changes "
        f"will not be detected. Set the environment variable {SWITCH}=0 to turn canaries off.",
        ProvenanceWarning,
    )
