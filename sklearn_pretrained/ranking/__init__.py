"""Several candidates' rows and labels → how well each suits the labels."""

from ._ranking import FeatureRanking, rank_features

__all__ = [
    "FeatureRanking",
    "rank_features",
]
