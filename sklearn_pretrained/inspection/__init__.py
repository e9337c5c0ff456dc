"""Searches that are done, and rows of features → what they tell, as plots and tables."""

from ._display import LayerScoreDisplay
from ._duplicates import near_duplicate_groups
from ._feature_map import FeatureMapDisplay
from ._neighbors import NeighborsDisplay
from ._pairs import DuplicatesDisplay
from ._ranks import RankingDisplay
from ._refit import cheapest_within_one_se
from ._scores import Curve, LayerScore

__all__ = [
    "Curve",
    "DuplicatesDisplay",
    "FeatureMapDisplay",
    "LayerScore",
    "LayerScoreDisplay",
    "NeighborsDisplay",
    "RankingDisplay",
    "cheapest_within_one_se",
    "near_duplicate_groups",
]
