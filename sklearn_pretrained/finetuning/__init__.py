"""A featurizer, X and y → its network with the upper layers trained, and a head: estimators."""

from ._classifier import FineTunedClassifier
from ._regressor import FineTunedRegressor

__all__ = ["FineTunedClassifier", "FineTunedRegressor"]
