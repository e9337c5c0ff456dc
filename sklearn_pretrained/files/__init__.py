"""Images or tables in files → features in files, and back into arrays."""

from ._featurize import Featurized, featurize
from ._read import Features, read_features

__all__ = ["Features", "Featurized", "featurize", "read_features"]
