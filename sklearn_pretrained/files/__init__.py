"""Images or tables in files → features in files, and back into arrays."""

from ._featurize import featurize
from ._image_folder import load_image_folder
from ._read import Features, read_features
from ._run import Featurized

__all__ = ["Features", "Featurized", "featurize", "load_image_folder", "read_features"]
