"""What can go wrong, by name: every error says what, where, what was got, and what to do."""

from __future__ import annotations

__all__ = [
    "BadItemError",
    "BadItemWarning",
    "CacheWarning",
    "FormatError",
    "LayerError",
    "MissingExtraError",
    "ProvenanceError",
    "ProvenanceWarning",
    "RandomWeightsWarning",
    "TruncationWarning",
    "UnsteadyError",
    "WeightsError",
]


class BadItemError(ValueError):
    """One item of X cannot be read; the featurizer adds which one."""


class LayerError(ValueError):
    """A layer that the network does not have, or a pooling that it does not allow."""


class WeightsError(RuntimeError):
    """Weights that are missing, damaged, or not the ones that were pinned at fit."""


def pinned_were(digest: str, error: WeightsError) -> WeightsError:
    """Add to an error about weights which ones the estimator was fitted with."""
    return WeightsError(f"{error} Those that were pinned at fit have the SHA-256 {digest}.")


class UnsteadyError(RuntimeError):
    """A network whose rows depend on the items beside them, on chance, or on what ran before."""


class ProvenanceError(RuntimeError):
    """Rows would not come out as they did at fit; the message says what changed."""


class FormatError(RuntimeError):
    """A file of a version of this package that this version cannot read."""


class MissingExtraError(ImportError):
    """An optional package is needed; the message holds the command that installs it."""


class BadItemWarning(UserWarning):
    """Some rows could not be read and are NaN in the output (``on_error="nan"``)."""


class ProvenanceWarning(UserWarning):
    """Rows are right, but cannot be compared with those of other versions later."""


class CacheWarning(UserWarning):
    """The cache had a fault; rows are still right, some are computed again."""


class TruncationWarning(UserWarning):
    """Some texts were longer than what the network reads, and were cut."""


class RandomWeightsWarning(UserWarning):
    """The network runs with random weights, which is only of use in tests."""
