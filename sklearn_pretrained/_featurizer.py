"""The shared skeleton: fit validates, resolves and pins; transform walks the road of a row."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from ._outputs import WHOLE, Output, PoolingNamed
from ._roads import OnRoad
from ._sklearn import (
    CallbackSupportMixin,
    Documented,
    HasMethods,
    Interval,
    KnownParameters,
    StrOptions,
    TypeNamed,
    block_of_diagram,
    clone_sharing,
    fit_context,
    fit_tasks,
    with_callbacks,
)
from ._tally import Tally
from .cache import Work, hint_at_files
from .exceptions import RandomWeightsWarning
from .process import warn
from .recipe import PRECISIONS
from .reporting import caption
from .road import Road

if TYPE_CHECKING:
    from .backbones import Backbone
    from .inputs import Items
    from .layers import Plan
    from .road._straight import Straight
    from .running import Runners

__all__ = ["BaseFeaturizer"]

Readable = Iterable[tuple[bytes, Any]]


def _tell_nobody(_said: str) -> None:
    """Show nothing."""


class BaseFeaturizer(
    Documented,
    KnownParameters,
    OnRoad,
    CallbackSupportMixin,
    TransformerMixin,
    BaseEstimator,
):
    """A frozen network as a transformer.

    A subclass says how X becomes items (`_read`) and what its parameters mean to the backbone
    (`_backbone`).
    """

    _parameter_constraints: dict[str, Any] = {
        "model": [str, callable, HasMethods("__sklearn_clone__")],
        "weights": [str, HasMethods("__fspath__"), HasMethods("get_state_dict"), None],
        "layer": [str, Integral, Interval(Real, 0, 1, closed="right"), list, tuple],
        "pooling": [PoolingNamed("images", "auto", *WHOLE)],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "device": [str, list, tuple, TypeNamed("torch.device")],
        "engine": [StrOptions({"auto", "torch", "openvino"})],
        "dtype": [StrOptions({"auto", *PRECISIONS})],
        "cache": [str, HasMethods("__fspath__"), HasMethods("fetch"), None],
        "keep_layers": [StrOptions({"auto", "main"}), list, tuple, None],
        "on_error": [StrOptions({"raise", "nan"})],
        "output": [StrOptions({"numpy", "torch"})],
        "verbose": ["boolean"],
    }

    @abstractmethod
    def _read(self, X: Any, *, reset: bool) -> Items:
        """Turn X into items."""

    @abstractmethod
    def _backbone(self) -> Backbone:
        """Find the network that the parameters name, without loading it."""

    def __sklearn_clone__(self) -> Any:
        return clone_sharing(self, "model")

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002
        """Check the parameters and record everything that determines the features.

        No item is passed through the network; that happens in `transform`.

        Parameters
        ----------
        X : array-like of items
            The items, as in `transform`.
        y : None
            Ignored.

        Returns
        -------
        self : object
            The fitted featurizer.
        """
        self._read(X, reset=True)
        self._pin()
        return self

    @with_callbacks
    @fit_context(prefer_skip_nested_validation=True)
    def fit_transform(self, X: Any, y: Any = None) -> NDArray[np.float32]:
        """Fit, then compute the features of the same items.

        Parameters
        ----------
        X : array-like of items
            The items, as in `transform`.
        y : None
            Ignored.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            The features, float32.
        """
        items = self._read(X, reset=True)
        self._pin()
        hint_at_files(self.cache)
        with fit_tasks(self, name="fit_transform", n_tasks=None, X=X, y=y) as finished:
            return self._handed_over(self._rows(items, self.road(), on_batch=finished))

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Compute the features of each item.

        Parameters
        ----------
        X : array-like of items
            One item per row, in a list, an array, a column of a DataFrame or a dataset. Images
            may be paths, bytes, PIL images, arrays or tensors; texts are strings;
            `ModuleFeaturizer` takes numeric rows.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            The features, float32. With ``pooling="none"``, an array of the layer's own shape.
        """
        road = self.road()
        return self._handed_over(self._rows(self._read(X, reset=False), road))

    def _handed_over(self, rows: NDArray[np.float32]) -> Any:
        """Return rows as they are asked for: where the network ran, or in an array."""
        if getattr(self, "output", "numpy") == "numpy":  # of kinds that are not ours
            return rows
        import torch

        from .running import resolve_devices

        return torch.from_numpy(rows).to(resolve_devices(self.device)[0])

    def stream(self, X: Any) -> Iterator[tuple[range, NDArray[np.float32]]]:
        """Compute the features window by window, for more rows than fit into memory.

        X is read window by window, and the items and features of a window are not kept once the
        next one is requested. Otherwise this works like `transform`. Items that cannot be read
        are in ``bad_items_`` once their window is returned, and the warning follows the last one.

        Parameters
        ----------
        X : array-like of items
            The items, as in `transform`.

        Yields
        ------
        positions : range
            Which items of X, in order.
        rows : ndarray of shape (len(positions), n_features)
            Their features, float32.
        """
        road = self.road()
        return self._streamed(self._read(X, reset=False), road)

    def warm_up(self) -> Self:
        """Load the network and make it fast, so that no request of a service waits for that.

        Returns
        -------
        self : object
            The fitted featurizer.
        """
        road = self.road()
        road.warm_up(self._means(road)[1])
        return self

    # -- fit: what decides the features

    def _pin(self) -> None:
        from .running import resolve_devices, resolve_dtype

        backbone = self._backbone()
        backbone.look_again()
        plan = self._plan(backbone)
        outputs = self._outputs(plan, backbone)
        if self.pooling == "none" and len(outputs) > 1:
            raise ValueError(
                "pooling='none' keeps the shape of a layer, so it reads one layer at a time; "
                f"got layer={self.layer!r}."
            )
        self.dtype_ = resolve_dtype(self.dtype, resolve_devices(self.device), self._engine)
        if self.weights is None:
            warn(
                f"weights=None: {backbone.name} has random weights; its features are meaningless.",
                RandomWeightsWarning,
            )
        self._record(backbone, outputs)

    def _outputs(self, plan: Plan, backbone: Backbone) -> list[Output]:  # noqa: ARG002
        """Resolve layers and poolings that the parameters ask for."""
        pooling = "avg" if self.pooling == "mean" else self.pooling
        return [(layer, layer.pooling(pooling)) for layer in plan.resolve(self.layer)]

    # -- transform: what becomes of a request

    def _rows(self, items: Items, road: Road, on_batch: Any = None) -> NDArray[np.float32]:
        cache, runners = self._means(road)
        if len(items) == 1 and on_batch is None and not self.verbose:
            from .road._straight import straight

            found = straight(road, items, cache, runners)
            if found is not None:
                self._report_one(found, items, road, runners)
                return road.formed(found.rows, road.asked)
        with self._reporting(items, road, runners, on_batch) as tally:
            rows = road.rows(items, cache, runners, tally)
            tally.cut += self._count_cut(tally.bad.readable(), road.backbone)
        return rows

    def _report_one(self, found: Straight, items: Items, road: Road, runners: Runners) -> None:
        """Report a request of one item, with which nothing is wrong."""
        work = Work(1, 1 - found.computed, found.computed)
        self._note(work, runners, road.canary, _tell_nobody)
        readable = ((items.digest(i), items.load(i)) for i in range(1))
        self._warn_of_cut(self._count_cut(readable, road.backbone), road.backbone)
        self.bad_items_ = {}

    def _streamed(self, items: Items, road: Road) -> Iterator[tuple[range, NDArray[np.float32]]]:
        cache, runners = self._means(road)
        with self._reporting(items, road, runners) as tally:
            for window, rows in road.stream(items, cache, runners, tally):
                tally.cut += self._count_cut(tally.bad.readable(), road.backbone)
                self.bad_items_ = tally.bad.settle()
                yield window, rows

    @contextmanager
    def _reporting(
        self, items: Items, road: Road, runners: Runners, on_batch: Any = None
    ) -> Iterator[Tally]:
        """Collect what a request reports, and report it when it is over."""
        shown = road.backbone.name if self.verbose else None
        with Tally(items, raises=self.on_error == "raise", shown=shown, on_batch=on_batch) as tally:
            try:
                yield tally
            finally:  # also where the caller has seen enough
                self._note(tally.work, runners, road.canary, tally.note)
        self.bad_items_ = tally.bad.report()
        self._warn_of_cut(tally.cut, road.backbone)

    def _count_cut(self, readable: Readable, backbone: Backbone) -> int:  # noqa: ARG002
        """Count the items of which the network sees a part."""
        return 0

    def _warn_of_cut(self, n: int, backbone: Backbone) -> None:
        """Say once that items were cut."""

    def _sk_visual_block_(self) -> Any:
        return block_of_diagram(self, caption=caption(self))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.on_error == "nan"
        tags.transformer_tags.preserves_dtype = []
        return tags
