"""Names of classes, and labelled items where there are any → a classifier: an estimator."""

from ._classifier import ZeroShotClassifier

__all__ = ["ZeroShotClassifier"]
