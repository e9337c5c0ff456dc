"""A fitted search → the score and the cost of each layer that it read, or trained from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

_READ, _TRAINED = "layer", "train_from"
_MOST = 2  # layers in one search: one along the axis, one as lines


@dataclass(frozen=True)
class LayerScore:
    """The best score of one layer in a search, over all other parameters that it varied.

    Parameters
    ----------
    name : str
        Name of the layer, or several names joined by ``+``.
    cost : float
        Share of the network's full cost that is needed to reach it.
    flops : float
        The same in floating-point operations for one item.
    mean, std, error : float
        Mean, standard deviation and standard error of the mean of the scores over the folds.
    params : dict
        The candidate with this score.
    index : int
        Its position in ``cv_results_``.
    """

    name: str
    cost: float
    flops: float
    mean: float
    std: float
    error: float
    params: dict[str, Any]
    index: int


@dataclass(frozen=True)
class Curve:
    """The layers of one network in one search, from the first that is reached to the last.

    Parameters
    ----------
    name : str
        The network, or the search.
    scores : tuple of LayerScore
        In the order of their costs.
    is_trained : bool
        Whether what lies above each layer was trained; then the costs are those of what was.
    bar : float or None
        The threshold, where it is that of a whole search over two layers.
    marked : LayerScore or None
        The cheapest of that search that reaches it.
    """

    name: str
    scores: tuple[LayerScore, ...]
    is_trained: bool = False
    bar: float | None = None
    marked: LayerScore | None = None

    @property
    def best(self) -> LayerScore | None:
        """The layer of the highest score; None where all fits failed."""
        scored = [score for score in self.scores if not np.isnan(score.mean)]
        return max(scored, key=lambda score: score.mean, default=None)

    @property
    def threshold(self) -> float:
        """The best score less its standard error."""
        if self.bar is not None:
            return self.bar
        best = self.best
        if best is None:
            return np.nan
        # One split tells no error: then only the best itself will do.
        return best.mean - (0.0 if np.isnan(best.error) else best.error)

    @property
    def cheapest(self) -> LayerScore | None:
        """The layer of the least cost that scores within one standard error of the best.

        Of a search over two layers, one curve has it, and the others have None.
        """
        if self.bar is not None:
            return self.marked if any(score is self.marked for score in self.scores) else None
        near = [score for score in self.scores if score.mean >= self.threshold]
        return min(near, key=lambda score: score.flops, default=None)


def curves_of(search: Any, *, name: str | None, metric: str | None) -> list[Curve]:
    """Read a search's results: one curve for each network that it tried."""
    check_is_fitted(search, "cv_results_")
    refit = getattr(search, "refit", None)
    return read_results(search.cv_results_, search.estimator, name=name, metric=metric, refit=refit)


def read_results(
    results: Mapping[str, Any],
    estimator: Any,
    *,
    name: str | None = None,
    metric: str | None = None,
    refit: object = None,
) -> list[Curve]:
    """Read ``cv_results_`` of a search over an estimator: one curve for each network."""
    metric = _metric(results, refit, metric)
    parameters = _layer_parameters(results)
    folds = sum(k.startswith("split") and k.endswith(f"_test_{metric}") for k in results)
    found: dict[tuple[str, str], dict[str, list[LayerScore]]] = {}
    for i in _last_rounds(results, parameters):
        params = dict(results["params"][i])
        places = [_find(estimator, parameter, params) for parameter in parameters]
        along, rest = places[0], "".join(f"{one.network} at {one.layer}" for one in places[1:])
        flops = sum(place.flops for place in places)
        cost = flops / sum(place.full for place in places)
        mean, std = (float(results[f"{what}_test_{metric}"][i]) for what in ("mean", "std"))
        # The results hold the deviation of the folds themselves, not of what they are drawn from.
        error = std / np.sqrt(folds - 1) if folds > 1 else np.nan
        score = LayerScore(along.layer, cost, flops, mean, std, error, params, i)
        found.setdefault((along.network, rest), {}).setdefault(along.layer, []).append(score)
    networks = {network for network, _ in found}
    curves = []
    for (network, rest), layers in found.items():
        told = [network] * (len(networks) > 1 or not rest) + [rest] * bool(rest)
        curves.append(
            Curve(
                _curve_name(name, ", ".join(told), several=len(found) > 1),
                tuple(sorted(map(_best, layers.values()), key=lambda score: score.flops)),
                is_trained=all(parameter.endswith(_TRAINED) for parameter in parameters),
            )
        )
    return _compared(curves) if len(parameters) > 1 else curves


def _compared(curves: Sequence[Curve]) -> list[Curve]:
    """Hold the curves of a search over two layers against the best of them all."""
    whole = Curve("", tuple(score for curve in curves for score in curve.scores))
    return [replace(curve, bar=whole.threshold, marked=whole.cheapest) for curve in curves]


def _best(scores: Sequence[LayerScore]) -> LayerScore:
    return max(scores, key=lambda score: -np.inf if np.isnan(score.mean) else score.mean)


def _curve_name(name: str | None, network: str, *, several: bool) -> str:
    if name is None:
        return network
    return f"{name}, {network}" if several else name


def _last_rounds(results: Mapping[str, Any], parameters: Sequence[str]) -> list[int]:
    """List candidates; a halving search scores some again, over more rows, and the last counts."""
    layers = [repr([params.get(name) for name in parameters]) for params in results["params"]]
    rounds = results.get("iter", np.zeros(len(layers), int))
    last: dict[str, int] = {}
    for layer, number in zip(layers, rounds, strict=True):
        last[layer] = max(number, last.get(layer, number))
    return [i for i, layer in enumerate(layers) if rounds[i] == last[layer]]


def all_curves(searches: Any, *, metric: str | None) -> list[Curve]:
    """Read one search, a list of them, or a dict that names them."""
    if isinstance(searches, Mapping):
        named = [(str(name), search) for name, search in searches.items()]
    elif isinstance(searches, Sequence):
        named = [(f"search {i}", search) for i, search in enumerate(searches, start=1)]
    else:
        return curves_of(searches, name=None, metric=metric)
    if not named:
        raise ValueError("No search was given.")
    return [
        curve for name, search in named for curve in curves_of(search, name=name, metric=metric)
    ]


def _metric(results: Mapping[str, Any], refit: object, metric: str | None) -> str:
    known = [key.removeprefix("mean_test_") for key in results if key.startswith("mean_test_")]
    if metric is None:
        metric = refit if isinstance(refit, str) and refit in known else known[0]
        if len(known) > 1 and metric != refit:
            raise ValueError(f"This search has several scores; pass metric, one of {known}.")
    if metric not in known:
        raise ValueError(f"metric={metric!r} is not a score of this search; it has {known}.")
    return metric


def _layer_parameters(results: Mapping[str, Any]) -> list[str]:
    """Name the parameters that are layers, the one with the most values first."""
    names = [key.removeprefix("param_") for key in results if key.startswith("param_")]
    layers = [name for name in names if name.rpartition("__")[2] in {_READ, _TRAINED}]
    if not 1 <= len(layers) <= _MOST or len({name.rpartition("__")[2] for name in layers}) > 1:
        raise ValueError(
            "The search must vary the layer of one featurizer or of two, or train_from: its grid "
            "must have one or two parameters that end in 'layer', or in 'train_from', such as "
            f"'featurizer__layer'; this one has {names}."
        )
    return sorted(layers, key=lambda name: -len({repr(p.get(name)) for p in results["params"]}))


class _Place(NamedTuple):
    """What a candidate reads or trains from, and its operations, next to the whole network's."""

    network: str
    layer: str
    flops: float
    full: float


def _find(estimator: Any, parameter: str, params: Mapping[str, Any]) -> _Place:
    """Find network, layer and cost of what a candidate reads, or trains."""
    is_trained = parameter.endswith(_TRAINED)
    prefix = parameter.removesuffix(_TRAINED if is_trained else _READ)
    return (_trained if is_trained else _read)(_candidate(estimator, prefix, params))


def _candidate(estimator: Any, prefix: str, params: Mapping[str, Any]) -> Any:
    """Return the candidate's featurizer, or what trains its network, unfitted."""
    path = prefix.removesuffix("__")
    own = params.get(path) or (estimator.get_params()[path] if path else estimator)
    mine = {
        name.removeprefix(prefix): value
        for name, value in params.items()
        if name.startswith(prefix)
    }
    return clone(own).set_params(**mine)


def _read(featurizer: Any) -> _Place:
    from ..layers import plan as planned

    backbone = featurizer.find_backbone()
    plan = planned(backbone)
    layers = plan.resolve(featurizer.layer)
    flops = max(layer.cost for layer in layers) * plan.flops
    name = "+".join(layer.name for layer in layers)
    return _Place(backbone.name.rpartition("/")[2], name, flops, plan.flops)


def _trained(estimator: Any) -> _Place:
    """None trains nothing."""
    from ..layers import plan as planned

    backbone = estimator.featurizer.find_backbone()
    plan = planned(backbone)
    network = backbone.name.rpartition("/")[2]
    if estimator.train_from is None:
        return _Place(network, "frozen", 0.0, plan.flops)
    (start,) = plan.resolve(estimator.train_from)
    cost = max(layer.cost for layer in plan.resolve(estimator.featurizer.layer)) - start.cost
    return _Place(network, start.name, cost * plan.flops, plan.flops)
