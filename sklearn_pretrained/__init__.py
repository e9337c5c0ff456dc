"""Pretrained networks as scikit-learn transformers.

The road of a row: X → items → digests → known rows | misses → the network's own preprocessing →
forward with taps → pooling → float32 rows → the user's head. Each station is one module.
"""

from typing import TYPE_CHECKING

from . import exceptions  # noqa: F401  used as sklearn_pretrained.exceptions
from ._version import __version__

if TYPE_CHECKING:
    from ._bert import BertCLSFeaturizer
    from ._image import PretrainedImageFeaturizer
    from ._module import ModuleFeaturizer
    from ._persistence import embed_weights, skops_trusted
    from ._text import PretrainedTextFeaturizer
    from .backbones import ModuleHandle, list_backbones, register_backbone
    from .cache._cache import FeatureCache, memory_cache
    from .cache._shared import SharedFeatureCache
    from .contributions import ContributionDisplay
    from .export import export_onnx, export_program
    from .files import featurize, load_image_folder, read_features
    from .finetuning import (
        AdaptationDisplay,
        FineTunedClassifier,
        FineTunedRegressor,
        adaptation_report,
    )
    from .inspection import (
        DuplicatesDisplay,
        FeatureMapDisplay,
        LayerScoreDisplay,
        NeighborsDisplay,
        RankingDisplay,
        cheapest_within_one_se,
        near_duplicate_groups,
    )
    from .layers import list_layers
    from .process import release
    from .ranking import rank_features
    from .zero_shot import ZeroShotClassifier

__all__ = [
    "AdaptationDisplay",
    "BertCLSFeaturizer",
    "ContributionDisplay",
    "DuplicatesDisplay",
    "FeatureCache",
    "FeatureMapDisplay",
    "FineTunedClassifier",
    "FineTunedRegressor",
    "LayerScoreDisplay",
    "ModuleFeaturizer",
    "ModuleHandle",
    "NeighborsDisplay",
    "PretrainedImageFeaturizer",
    "PretrainedTextFeaturizer",
    "RankingDisplay",
    "SharedFeatureCache",
    "ZeroShotClassifier",
    "__version__",
    "adaptation_report",
    "cheapest_within_one_se",
    "embed_weights",
    "export_onnx",
    "export_program",
    "featurize",
    "list_backbones",
    "list_layers",
    "load_image_folder",
    "memory_cache",
    "near_duplicate_groups",
    "rank_features",
    "read_features",
    "register_backbone",
    "release",
    "skops_trusted",
]

_LAZY = {
    "AdaptationDisplay": ".finetuning",
    "BertCLSFeaturizer": "._bert",
    "ContributionDisplay": ".contributions",
    "DuplicatesDisplay": ".inspection",
    "FeatureCache": ".cache._cache",
    "FeatureMapDisplay": ".inspection",
    "FineTunedClassifier": ".finetuning",
    "FineTunedRegressor": ".finetuning",
    "LayerScoreDisplay": ".inspection",
    "ModuleFeaturizer": "._module",
    "ModuleHandle": ".backbones",
    "NeighborsDisplay": ".inspection",
    "PretrainedImageFeaturizer": "._image",
    "PretrainedTextFeaturizer": "._text",
    "RankingDisplay": ".inspection",
    "SharedFeatureCache": ".cache._shared",
    "ZeroShotClassifier": ".zero_shot",
    "adaptation_report": ".finetuning",
    "cheapest_within_one_se": ".inspection",
    "embed_weights": "._persistence",
    "export_onnx": ".export",
    "export_program": ".export",
    "featurize": ".files",
    "list_backbones": ".backbones",
    "list_layers": ".layers",
    "load_image_folder": ".files",
    "memory_cache": ".cache._cache",
    "near_duplicate_groups": ".inspection",
    "rank_features": ".ranking",
    "read_features": ".files",
    "register_backbone": ".backbones",
    "release": ".process",
    "skops_trusted": "._persistence",
}


def __getattr__(name: str) -> object:
    """Import what is asked for: an exported pipeline needs neither torch nor scikit-learn."""
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(_LAZY[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
