"""The shared skeleton: fit validates, resolves and pins; transform walks the road of a row."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ._outputs import WHOLE, Output, bundle, in_order, key, main_layers, with_more
from ._precisions import PRECISIONS
from ._progress import Progress
from ._recipe import Bundle, fingerprint
from ._sklearn import (
    CallbackSupportMixin,
    HasMethods,
    Interval,
    StrOptions,
    TypeNamed,
    check_feature_names_in,
    clone_sharing,
    fit_context,
    fit_tasks,
    with_callbacks,
)
from .cache._cache import resolve_cache
from .exceptions import RandomWeightsWarning
from .inputs._bad_items import BadItems
from .pinned._state import PinnedState

if TYPE_CHECKING:
    from .backbones import Backbone
    from .inputs import Items
    from .layers import Plan
    from .running import Reading

__all__ = ["BaseFeaturizer"]


class BaseFeaturizer(PinnedState, CallbackSupportMixin, TransformerMixin, BaseEstimator):
    """A frozen network as a transformer.

    A subclass says how X becomes items (`_read`) and what its parameters mean to the backbone
    (`_backbone`).
    """

    _parameter_constraints: dict[str, Any] = {
        "model": [str, callable, HasMethods("__sklearn_clone__")],
        "weights": [str, HasMethods("__fspath__"), HasMethods("get_state_dict"), None],
        "layer": [str, Integral, Interval(Real, 0, 1, closed="right"), list, tuple],
        "pooling": [StrOptions({"auto", "avg", "mean", "max", "gem", "cls", "flatten", "none"})],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "device": [str, list, tuple, TypeNamed("torch.device")],
        "dtype": [StrOptions({"auto", *PRECISIONS})],
        "cache": [str, HasMethods("__fspath__"), HasMethods("fetch"), None],
        "keep_layers": [StrOptions({"auto", "main"}), list, tuple, None],
        "on_error": [StrOptions({"raise", "nan"})],
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
    def fit(self, X: Any, y: Any = None) -> Any:  # noqa: ARG002
        """Check the parameters, and pin what decides the features.

        No item is sent through the network; that happens in `transform`.

        Parameters
        ----------
        X : array-like of items
            As in `transform`.
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
    def fit_transform(self, X: Any, y: Any = None) -> Any:
        """Fit, then transform the same items.

        Parameters
        ----------
        X : array-like of items
            As in `transform`.
        y : None
            Ignored.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            The features, float32.
        """
        items = self._read(X, reset=True)
        self._pin()
        with fit_tasks(self, name="fit_transform", n_tasks=None, X=X, y=y) as finished:
            return self._embed(items, on_batch=finished)

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Compute each item's features.

        Parameters
        ----------
        X : array-like of items
            What the class's own page says.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            The features, float32. With ``pooling="none"``, of the shape that the layer gives.
        """
        check_is_fitted(self)
        self._check_unchanged()
        return self._embed(self._read(X, reset=False))

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Name the columns: network, layer, number.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of X's columns. They are checked, and do not decide those of the features.

        Returns
        -------
        ndarray of str
            One name for each column.
        """
        check_is_fitted(self)
        if hasattr(self, "n_features_in_"):
            check_feature_names_in(self, input_features)
        backbone = self._resolved()
        stem = self.model_.rpartition("/")[2]
        names = [
            f"{stem}_{layer.name}_{i}"
            for layer, pooling in self._pinned_outputs(self._plan(backbone))
            for i in range(layer.width(pooling))
        ]
        return np.asarray(names, dtype=object)

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
        self.dtype_ = resolve_dtype(self.dtype, resolve_devices(self.device))
        if self.weights is None:
            warnings.warn(
                f"weights=None: {backbone.name} has random weights; its features mean nothing.",
                RandomWeightsWarning,
                stacklevel=3,
            )
        self.model_ = backbone.name
        self.weights_digest_ = backbone.weights.digest()
        named = [layer.name for layer, _ in outputs]
        several = isinstance(self.layer, list | tuple)
        self.layer_ = named if several else named[0]
        self.pooling_ = [p for _, p in outputs] if several else outputs[0][1]
        self.n_features_out_ = sum(layer.width(p) for layer, p in outputs)
        self.bad_items_: dict[int, str] = {}
        self._pin_facts(backbone, outputs)

    @staticmethod
    def _plan(backbone: Backbone) -> Plan:
        from .layers import plan

        return plan(backbone)

    def _outputs(self, plan: Plan, backbone: Backbone) -> list[Output]:  # noqa: ARG002
        """Resolve layers and poolings that the parameters ask for."""
        pooling = "avg" if self.pooling == "mean" else self.pooling
        return [(layer, layer.pooling(pooling)) for layer in plan.resolve(self.layer)]

    def _kept(self, plan: Plan, wanted: list[Output], backbone: Backbone) -> list[Output]:
        """List what a forward keeps: while fitting and searching, what else may be asked."""
        keep = self.keep_layers
        if keep == "auto":
            keep = "main" if hasattr(self, "_fitted_here") and self.cache is not None else None
        if keep is None or self.pooling in WHOLE:
            return list(dict.fromkeys(wanted))
        layers = main_layers(plan, backbone) if keep == "main" else plan.resolve(list(keep))
        return with_more(wanted, layers, backbone.poolings)

    # -- transform: the road of a row

    def _embed(self, items: Items, on_batch: Any = None) -> NDArray[np.float32]:
        backbone = self._resolved()
        self._check_recipe(backbone)
        plan = self._plan(backbone)
        wanted = self._pinned_outputs(plan)
        facts = {**backbone.recipe(), "weights": self.weights_digest_, "dtype": self.dtype_}
        recipe = fingerprint({**facts, "backbone": backbone.code} if backbone.code else facts)
        kept = self._kept(plan, wanted, backbone)
        ask, keep = bundle(recipe, wanted), bundle(recipe, kept)
        readings = {key(output): output for output in kept}
        bad = BadItems(items, raises=self.on_error == "raise")
        digests = bad.digests()
        out = np.full((len(items), ask.width), np.nan, dtype=np.float32)

        def compute(
            positions: list[int], chosen: Bundle
        ) -> Iterator[tuple[list[int], NDArray[np.float32]]]:
            outputs = tuple(readings[name] for name, _ in chosen.outputs)
            yield from self._forward(
                items,
                positions,
                recipe=recipe,
                wanted=wanted,
                outputs=outputs,
                backbone=backbone,
                bad=bad,
                progress=progress,
                on_batch=on_batch,
            )

        with Progress(shown=self.verbose, name=backbone.name) as progress:
            work = resolve_cache(self.cache, in_files=backbone.shareable).fetch(
                ask,
                keep,
                digests,
                compute,
                out,
                forecast=progress.forecast,
                waiting=progress.waiting,
            )
        self.counts_.add(work)
        self._keep_canary(recipe, wanted)
        self._report(bad, backbone)
        out = in_order(out, ask, wanted)
        return out.reshape(len(out), *wanted[0][0].shape) if self.pooling == "none" else out

    def _report(self, bad: BadItems, backbone: Backbone) -> None:  # noqa: ARG002
        """Tell what went wrong on the way."""
        self.bad_items_ = bad.report()

    def _forward(
        self,
        items: Items,
        positions: Sequence[int],
        *,
        recipe: str,
        wanted: list[Output],
        outputs: tuple[Output, ...],
        backbone: Backbone,
        bad: BadItems,
        progress: Progress,
        on_batch: Any,
    ) -> Iterator[tuple[list[int], NDArray[np.float32]]]:
        from .running import Reading, embed, resolve_devices, resolve_dtype
        from .running.eager import load

        def done(n: int) -> None:
            progress.add(n)
            if on_batch is not None:
                on_batch()

        reading: Reading = Reading(outputs, asked=len(set(wanted)))
        devices = resolve_devices(self.device)
        dtype = PRECISIONS[resolve_dtype(self.dtype_, devices)].type
        networks = [load(backbone, device, dtype, self.weights_digest_) for device in devices]
        for network in networks:
            self._check_canary(recipe, wanted, backbone, network, replace(reading))
        yield from embed(
            items,
            positions,
            backbone=backbone,
            networks=networks,
            reading=reading,
            batch_size=self.batch_size,
            on_bad=bad.add,
            on_batch=done,
        )

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "weights_digest_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.on_error == "nan"
        tags.transformer_tags.preserves_dtype = []
        return tags
