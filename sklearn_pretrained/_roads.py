"""A fitted featurizer → the road that its rows take, and what knows and computes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sklearn.utils.validation import check_is_fitted

from ._outputs import WHOLE, Output, with_more
from .cache import Cache, resolve_cache
from .pinned import PinnedState, State, Way, settled
from .recipe import fingerprint
from .road import Road

if TYPE_CHECKING:
    from .backbones import Backbone
    from .layers import Plan
    from .running import Runners


class OnRoad(PinnedState):
    """What a featurizer pinned, as a road: found anew where anything may have changed."""

    pooling: str
    keep_layers: Any
    cache: Any
    batch_size: Any
    device: Any
    _record_dtype = "float32"
    """What rows are rounded to, which are then those of another recipe."""

    def road(self) -> Road:
        """Return the path from items to rows as it was recorded in `fit`.

        Returns
        -------
        Road
            The network, its layers, the outputs that make up a row, and the recipe.
        """
        if not self.__sklearn_is_fitted__():
            check_is_fitted(self)
        standing = self._standing  # `fit` in another thread begins with another one
        if (known := standing.road(self)) is not None:
            return known
        state = State(self)
        self._check_unchanged()
        backbone = self.find_backbone()
        given = backbone.facts()
        way = settled(self._stated(backbone, given), lambda: self._settle(backbone, given))
        canary = self._canary(way.recipe, way.outputs)
        how = {"dtype": self._record_dtype, "hooks": given.get("hooks", "")}
        road = Road(backbone, way.plan, way.outputs, way.kept, way.recipe, canary, **how)
        # What a class of somebody else reads of itself is not known.
        if type(self).__module__ == __package__:
            standing.keep(state, road)
        return road

    def _settle(self, backbone: Backbone, given: dict[str, Any]) -> Way:
        """Compare what is found with what was pinned, and work out what is read and its recipe."""
        self._check_recipe(backbone, given)
        plan = self._plan(backbone)
        outputs = self._pinned_outputs(plan)
        facts = {**given, "weights": self.weights_digest_, "dtype": self.dtype_}
        recipe = fingerprint({**facts, "backbone": backbone.code} if backbone.code else facts)
        return Way(plan, outputs, self._kept(plan, outputs, backbone), recipe)

    def _stated(self, backbone: Backbone, given: dict[str, Any]) -> tuple[type, str]:
        """State all that `_settle` looks at, in words."""
        found = backbone.name, backbone.architecture, backbone.code, backbone.code_facts, given
        keeps = backbone.poolings, backbone.also_kept, self.keep_layers, self.cache is None
        pinned = self.weights_digest_, self.dtype_, self.layer_, self.pooling_, self.n_features_out_
        then = [self._provenance.get(name) for name in ("preprocessing", "read", "versions")]
        how = self.pooling, hasattr(self, "_fitted_here"), then
        return type(self), repr((found, keeps, pinned, how))

    def _kept(self, plan: Plan, wanted: list[Output], backbone: Backbone) -> list[Output]:
        """List what a forward keeps: while fitting and searching, what else may be asked."""
        keep = self.keep_layers
        if keep == "auto":
            keep = "main" if hasattr(self, "_fitted_here") and self.cache is not None else None
        if self.pooling in WHOLE:
            keep = None
        return with_more(wanted, keep, plan, backbone)

    def _means(self, road: Road) -> tuple[Cache, Runners]:
        """Return what knows rows, and what computes the others."""
        from .running import Runners

        in_memory = self.cache is None or self.cache == "memory"
        cache = resolve_cache(self.cache, in_files=in_memory or road.backbone.lasting)
        how = self.dtype_, self.weights_digest_, self.batch_size, self._engine
        return cache, Runners(self.device, *how, before=self._standing.loaded(road))
