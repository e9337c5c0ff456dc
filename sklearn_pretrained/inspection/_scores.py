"""A fitted search → the score and the cost of each layer that it read, or trained from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

_READ, _TRAINED = "layer", "train_from"


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
    """

    name: str
    scores: tuple[LayerScore, ...]
    is_trained: bool = False

    @property
    def best(self) -> LayerScore | None:
        """The layer of the highest score; None where all fits failed."""
        scored = [score for score in self.scores if not np.isnan(score.mean)]
        return max(scored, key=lambda score: score.mean, default=None)

    @property
    def threshold(self) -> float:
        """The best score less its standard error."""
        best = self.best
        if best is None:
            return np.nan
        # One split tells no error: then only the best itself will do.
        return best.mean - (0.0 if np.isnan(best.error) else best.error)

    @property
    def cheapest(self) -> LayerScore | None:
        """The layer of the least cost that scores within one standard error of the best."""
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
    parameter = _layer_parameter(results)
    is_trained = parameter.endswith(_TRAINED)
    prefix = parameter.removesuffix(_TRAINED if is_trained else _READ)
    place = _trained if is_trained else _place
    folds = sum(k.startswith("split") and k.endswith(f"_test_{metric}") for k in results)
    found: dict[str, dict[str, list[LayerScore]]] = {}
    for i in _last_rounds(results, parameter):
        params = dict(results["params"][i])
        network, layer, cost, flops = place(_candidate(estimator, prefix, params))
        mean, std = (float(results[f"{what}_test_{metric}"][i]) for what in ("mean", "std"))
        # The results hold the deviation of the folds themselves, not of what they are drawn from.
        error = std / np.sqrt(folds - 1) if folds > 1 else np.nan
        score = LayerScore(layer, cost, flops, mean, std, error, params, i)
        found.setdefault(network, {}).setdefault(layer, []).append(score)
    return [
        Curve(
            _curve_name(name, network, several=len(found) > 1),
            tuple(sorted(map(_best, layers.values()), key=lambda score: score.flops)),
            is_trained,
        )
        for network, layers in found.items()
    ]


def _best(scores: Sequence[LayerScore]) -> LayerScore:
    return max(scores, key=lambda score: -np.inf if np.isnan(score.mean) else score.mean)


def _curve_name(name: str | None, network: str, *, several: bool) -> str:
    if name is None:
        return network
    return f"{name}, {network}" if several else name


def _last_rounds(results: Mapping[str, Any], parameter: str) -> list[int]:
    """List candidates; a halving search scores some again, over more rows, and the last counts."""
    layers = [repr(params[parameter]) for params in results["params"]]
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


def _layer_parameter(results: Mapping[str, Any]) -> str:
    names = [key.removeprefix("param_") for key in results if key.startswith("param_")]
    layers = [name for name in names if name.rpartition("__")[2] in {_READ, _TRAINED}]
    if len(layers) != 1:
        raise ValueError(
            "The search must vary the layer of one featurizer: its grid must have one parameter "
            "that ends in 'layer' or 'train_from', such as 'featurizer__layer'; this one has "
            f"{names}."
        )
    return layers[0]


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


def _place(featurizer: Any) -> tuple[str, str, float, float]:
    """Find network, layer and cost of what a featurizer reads."""
    from ..layers import plan as planned

    backbone = featurizer.find_backbone()
    plan = planned(backbone)
    layers = plan.resolve(featurizer.layer)
    cost = max(layer.cost for layer in layers)
    name = "+".join(layer.name for layer in layers)
    return backbone.name.rpartition("/")[2], name, cost, cost * plan.flops


def _trained(estimator: Any) -> tuple[str, str, float, float]:
    """Find network, layer and cost of what is trained; None trains nothing."""
    from ..layers import plan as planned

    backbone = estimator.featurizer.find_backbone()
    plan = planned(backbone)
    network = backbone.name.rpartition("/")[2]
    if estimator.train_from is None:
        return network, "frozen", 0.0, 0.0
    (start,) = plan.resolve(estimator.train_from)
    cost = max(layer.cost for layer in plan.resolve(estimator.featurizer.layer)) - start.cost
    return network, start.name, cost, cost * plan.flops
