"""Pretrained networks as scikit-learn transformers.

The road of a row: X → items → digests → known rows | misses → the network's own preprocessing →
forward with taps → pooling → float32 rows → the user's head. Each station is one module.
"""

from ._bert import BertCLSFeaturizer
from ._image import PretrainedImageFeaturizer
from ._module import ModuleFeaturizer
from ._persistence import embed_weights, skops_trusted
from ._process import release
from ._text import PretrainedTextFeaturizer
from ._version import __version__
from .cache._cache import FeatureCache, memory_cache

__all__ = [
    "AdaptationDisplay",
    "BertCLSFeaturizer",
    "FeatureCache",
    "FineTunedClassifier",
    "FineTunedRegressor",
    "LayerScoreDisplay",
    "ModuleFeaturizer",
    "ModuleHandle",
    "PretrainedImageFeaturizer",
    "PretrainedTextFeaturizer",
    "__version__",
    "adaptation_report",
    "cheapest_within_one_se",
    "embed_weights",
    "list_backbones",
    "list_layers",
    "load_image_folder",
    "memory_cache",
    "near_duplicate_groups",
    "register_backbone",
    "release",
    "skops_trusted",
]

_LAZY = {
    "AdaptationDisplay": ".finetuning",
    "adaptation_report": ".finetuning",
    "FineTunedClassifier": ".finetuning",
    "FineTunedRegressor": ".finetuning",
    "LayerScoreDisplay": ".inspection",
    "ModuleHandle": ".backbones",
    "cheapest_within_one_se": ".inspection",
    "list_backbones": ".backbones",
    "list_layers": ".layers",
    "load_image_folder": "._image_folder",
    "near_duplicate_groups": "._duplicates",
    "register_backbone": ".backbones",
}


def __getattr__(name: str) -> object:
    """Import what needs torch when it is first asked for."""
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(_LAZY[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
