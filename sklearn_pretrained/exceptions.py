"""What can go wrong, by name: every error says what, where, what was got, and what to do."""

from __future__ import annotations

__all__ = [
    "BadItemError",
    "BadItemWarning",
    "CacheWarning",
    "ExportError",
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
    """An item of X cannot be read; the message names the item."""


class LayerError(ValueError):
    """The network does not have this layer, or the layer does not allow this pooling."""


class WeightsError(RuntimeError):
    """The weights are missing, damaged, or different from those at fit."""


def pinned_were(digest: str, error: WeightsError) -> WeightsError:
    """Add to an error about weights which ones the estimator was fitted with."""
    return WeightsError(f"{error} The weights pinned at fit have the SHA-256 {digest}.")


class UnsteadyError(RuntimeError):
    """Rows of the network depend on other items in the batch, on chance, or on earlier calls."""


class ProvenanceError(RuntimeError):
    """Rows would differ from those at fit; the message says what changed."""


class FormatError(RuntimeError):
    """The file was written by a version of this package that this version cannot read."""


class ExportError(RuntimeError):
    """A file would not give the pipeline's answers; the message says which step moved, how far."""


class MissingExtraError(ImportError):
    """An optional package is required; the message contains the command to install it."""


class BadItemWarning(UserWarning):
    """Some items could not be read; their rows are NaN (``on_error="nan"``)."""


class ProvenanceWarning(UserWarning):
    """Rows are correct, but changes caused by other library versions will not be detected."""


class CacheWarning(UserWarning):
    """The cache had a fault; rows are still correct, and some are computed again."""


class TruncationWarning(UserWarning):
    """Some texts were longer than ``max_length`` and were cut."""


class RandomWeightsWarning(UserWarning):
    """The network has random weights, which are only useful in tests."""
