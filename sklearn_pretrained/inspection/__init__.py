"""Searches that are done → what they tell, as plots and tables."""

from ._display import LayerScoreDisplay
from ._refit import cheapest_within_one_se
from ._scores import Curve, LayerScore

__all__ = ["Curve", "LayerScore", "LayerScoreDisplay", "cheapest_within_one_se"]
