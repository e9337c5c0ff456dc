"""A fitted featurizer → the plain state that files hold, and back; what fit pinned is checked."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from .._outputs import Output, columns
from .._sklearn import check_feature_names_in
from ..cache import Work
from ..exceptions import FormatError, WeightsError, pinned_were
from ..process import remembered, warn
from ._canary import Canary
from ._carried import pack, stand_in
from ._pins import check_parameters, check_recipe, copied, pinned_outputs, places_of
from ._provenance import Provenance, differences, facts, is_of_this_version, plain
from ._standing import Standing

if TYPE_CHECKING:
    from ..backbones import Backbone
    from ..layers import Plan
    from ..running import Runners

FORMAT = 1
"""Of the state that files hold.

Raise it when older versions could no longer read what is written; `_PinnedState.__setstate__` then
brings the older numbers into today's form, and tests/fixtures keeps a file of each.
"""

_FREE = frozenset(
    {
        *("model", "weights", "batch_size", "device", "cache", "keep_layers", "on_error"),
        *("engine", "output", "verbose"),
    }
)
"""Parameters that may change after fit."""

_STATED = ("hooks",)
"""Facts that are prints of code: of a loaded estimator it is compared whether there are any."""

_OF_THIS_PROCESS = ("_fitted_here", "_standing", "_told", "counts_")
"""What no file holds: a loaded featurizer is in production, and reads no layer that nobody asked
for; and its counts begin anew."""


@remembered("names of parameters", maxsize=64)
def _deciding(kind: type) -> tuple[str, ...]:
    """Return the names of the parameters that decide rows."""
    return tuple(name for name in inspect.signature(kind).parameters if name not in _FREE)


class PinnedState:
    """What a featurizer pinned at fit: kept in files, checked at use, shown to people."""

    model: Any
    layer: Any
    weights_digest_: str
    dtype_: str
    layer_: Any
    pooling_: Any
    n_features_out_: int
    model_: str
    engine_: str

    # -- files

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())  # type: ignore[call-overload]
        for name in _OF_THIS_PROCESS:
            state.pop(name, None)
        state["_format"] = FORMAT
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        written = state.pop("_format", 0)
        if written > FORMAT:
            then = state.get("_provenance", {}).get("versions", {}).get("sklearn-pretrained", "?")
            raise FormatError(
                f"This {type(self).__name__} was saved in format {written}, by sklearn-pretrained "
                f"{then}; this version reads formats up to {FORMAT}. Update sklearn-pretrained."
            )
        signature = inspect.signature(type(self)).parameters
        for name, parameter in signature.items():
            # A parameter that came after the file was written has its default.
            state.setdefault(name, parameter.default)
        if "weights_digest_" in state:
            pinned = state.setdefault("_pinned", {})
            for name in signature.keys() - _FREE:
                pinned.setdefault(name, state[name])
            recorded = state.setdefault("_provenance", {})
            if isinstance(recorded.get("canary"), dict):
                recorded["canary"] = list(recorded["canary"].values())
            state["_told"], state["counts_"] = set(), Work()
            state["_standing"] = Standing()
        super().__setstate__(state)  # type: ignore[misc]

    # -- fit

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "weights_digest_")

    def _record(self, backbone: Backbone, outputs: list[Output]) -> None:
        """Take down which network, and what is read of it."""
        self.model_ = backbone.name
        self.weights_digest_ = backbone.weights.digest()
        named, poolings = [layer.name for layer, _ in outputs], [p for _, p in outputs]
        several = isinstance(self.layer, list | tuple)
        self.layer_ = named if several else named[0]
        self.pooling_ = poolings if several else poolings[0]
        self.n_features_out_ = sum(layer.width(p) for layer, p in outputs)
        self.bad_items_: dict[int, str] = {}
        self._pinned = {name: copied(v) for name, v in self._deciding_parameters().items()}
        self._provenance: dict[str, Any] = facts(backbone, weights=self.weights_digest_)
        self._provenance["read"] = places_of(outputs)
        self._told: set[str] = set()
        self.counts_ = Work()
        self.engine_ = "torch"
        self._fitted_here, self._standing = True, Standing()
        self.__dict__.pop("_embedded", None)

    def _deciding_parameters(self) -> dict[str, Any]:
        """Return the parameters that decide rows; the network's digest stands for the network."""
        return {name: getattr(self, name) for name in _deciding(type(self))}

    # -- the network, and whether it is the one that was pinned

    def find_backbone(self) -> Backbone:
        """Find the network: the one that came with the estimator, else the parameters' one.

        Returns
        -------
        Backbone
            Described, and not loaded.
        """
        try:
            if embedded := getattr(self, "_embedded", None):
                twin, dress = stand_in(self, embedded)
                return dress(twin._backbone())  # noqa: SLF001  it is one of us
            return self._backbone()
        except WeightsError as error:
            if not hasattr(self, "weights_digest_"):
                raise
            raise pinned_were(self.weights_digest_, error) from error

    def _backbone(self) -> Backbone:
        raise NotImplementedError

    def check_portable(self) -> None:
        """Refuse a network that cannot be inside a file, before anything is copied."""
        backbone = self.find_backbone()
        if backbone.stays_apart:
            raise WeightsError(
                f"The weights of {backbone.name} cannot be embedded: it {backbone.stays_apart}."
            )

    def carry_weights(self) -> None:
        """Take the network's files into the state; `embed_weights` does it to a copy."""
        # The tensors of a network of the user's own are in the state anyway.
        if not hasattr(self.model, "state_dict") and not hasattr(self.model, "module"):
            self._embedded = pack(self.find_backbone(), self.weights_digest_)

    def _check_unchanged(self) -> None:
        """Refuse parameters that were set after fit: the head learned from other features."""
        check_parameters(self._deciding_parameters(), self._pinned)

    def _check_recipe(self, backbone: Backbone, recipe: dict[str, Any]) -> None:
        """Refuse a network that was prepared otherwise at fit."""
        then = self._provenance.get("preprocessing")
        if then is None or json.dumps(recipe) == json.dumps(then):
            return
        now = plain(recipe)
        if not hasattr(self, "_fitted_here"):
            # Another Python, or another process, may print the same code otherwise.
            then, now = (
                {
                    name: name in _STATED or v
                    for name, v in side.items()
                    if name not in {*backbone.code_facts, "packages_of_hooks"}
                }
                for side in (then, now)
            )
        check_recipe(
            now,
            then,
            name=backbone.name,
            only_common=not is_of_this_version(self._provenance),
            differ=functools.partial(differences, self._provenance["versions"]),
        )

    @staticmethod
    def _plan(backbone: Backbone) -> Plan:
        from ..layers import plan

        return plan(backbone)

    def _pinned_outputs(self, plan: Plan) -> list[Output]:
        """Find the layers and poolings that fit pinned in the network of now."""
        several = isinstance(self.layer_, list)
        return pinned_outputs(
            plan,
            self.layer_ if several else [self.layer_],
            self.pooling_ if several else [self.pooling_],
            width=self.n_features_out_,
            places=self._provenance.get("read"),
        )

    def _canary(self, recipe: str, outputs: list[Output]) -> Canary:
        """Return what is compared with the past before a network gives its first row."""
        return Canary(
            self._canary_item(),
            outputs,
            recipe=recipe,
            dtype=self.dtype_,
            then=self._provenance.get("canary"),
            differ=functools.partial(differences, self._provenance.get("versions", {})),
        )

    def _keep_canary(self, canary: Canary | None) -> None:
        """Record what is known of the canary, unless it was recorded before."""
        if canary and self._provenance and "canary" not in self._provenance:
            found = canary.recall()
            if found:
                self._provenance["canary"] = found

    def _note(
        self, work: Work, runners: Runners, canary: Canary | None, say: Callable[[str], None]
    ) -> None:
        """Record what became of a request, and tell what computed where that was to be chosen."""
        self.counts_.add(work)
        self._keep_canary(canary)
        self.engine_ = runners.engine or getattr(self, "engine_", "torch")
        if self._engine == "torch" or not runners.engine:
            return
        say(f"computed by {runners.engine}")
        if self._engine != "auto" and runners.refused not in {"", *self._told}:
            self._told.add(runners.refused)
            warn(
                f"engine={self._engine!r} is not used for {self.model_}: {runners.refused}. Rows "
                "are computed by torch.",
                RuntimeWarning,
            )

    @property
    def _engine(self) -> str:
        return getattr(self, "engine", "torch")  # of kinds that are not ours

    def _canary_item(self) -> Callable[[], Any]:
        """Return what gives the content of the canary, and does not hold this estimator."""
        raise NotImplementedError

    # -- what people see of it

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Get output feature names: network, layer and number.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the columns of X. They are validated, and do not affect the output names.

        Returns
        -------
        ndarray of str
            Names of the features.
        """
        check_is_fitted(self)
        if hasattr(self, "n_features_in_"):
            check_feature_names_in(self, input_features)
        if isinstance(self.layer_, str):  # what fit pinned suffices
            return columns(self.model_, [(self.layer_, self.n_features_out_)])
        outputs = self._pinned_outputs(self._plan(self.find_backbone()))
        return columns(self.model_, [(layer.name, layer.width(p)) for layer, p in outputs])

    def provenance(self) -> Provenance:
        """Return what determines the rows: network, weights, preprocessing, versions.

        Returns
        -------
        Provenance
            The facts at fit, printed as text for a model card; ``to_dict()`` returns a dictionary.
        """
        check_is_fitted(self)
        recorded = dict(self._provenance)
        ours: dict[str, Any] = {
            "estimator": type(self).__name__,
            "date": recorded.pop("date", "before provenance was recorded"),
            **{name: recorded.pop(name) for name in ("model", "revision") if name in recorded},
            "layer": getattr(self, "layer_", None),
            "pooling": getattr(self, "pooling_", None),
            "dtype": self.dtype_,
            "engine": getattr(self, "engine_", "torch"),
            "n_features": getattr(self, "n_features_out_", None),
        }
        recorded["canary"] = "recorded" if recorded.get("canary") else "not recorded yet"
        return Provenance({**ours, **recorded})
