"""A featurizer, X and y → its network with the upper layers trained, and a head: estimators."""

from ._classifier import FineTunedClassifier
from ._display import AdaptationDisplay
from ._regressor import FineTunedRegressor
from ._report import AdaptationReport, adaptation_report
from ._trial import Way

__all__ = [
    "AdaptationDisplay",
    "AdaptationReport",
    "FineTunedClassifier",
    "FineTunedRegressor",
    "Way",
    "adaptation_report",
]
