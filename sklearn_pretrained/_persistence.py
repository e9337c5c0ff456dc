"""A fitted estimator → one that carries its networks; and the types that skops must trust."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, TypeVar

from sklearn.utils.validation import check_is_fitted

from ._featurizer import BaseFeaturizer

Estimator = TypeVar("Estimator")

_KINDS = (
    "BertCLSFeaturizer",
    "FineTunedClassifier",
    "FineTunedRegressor",
    "ModuleFeaturizer",
    "PretrainedImageFeaturizer",
    "PretrainedTextFeaturizer",
    "ZeroShotClassifier",
)


def embed_weights(estimator: Estimator) -> Estimator:
    """Embed the weights of all networks in a fitted estimator, so that its file is self-contained.

    Otherwise a saved estimator holds only the SHA-256 of the weights, and the machine that loads it
    needs the weights themselves. With embedded weights the file is as large as the network, and
    loading it needs only this package.

    Parameters
    ----------
    estimator : object
        A fitted featurizer, or a pipeline, search or column transformer that contains featurizers.

    Returns
    -------
    object
        A copy with the weights as safetensors and, for texts, the configuration and tokenizer.
        They are kept until the copy is fitted again or cloned.

    Examples
    --------
    >>> import io
    >>> import joblib
    >>> from sklearn.datasets import load_sample_images
    >>> from sklearn_pretrained import PretrainedImageFeaturizer, embed_weights
    >>> fitted = PretrainedImageFeaturizer().fit(load_sample_images().images)
    >>> small, large = io.BytesIO(), io.BytesIO()
    >>> _ = joblib.dump(fitted, small), joblib.dump(embed_weights(fitted), large)
    >>> len(small.getvalue()) < 5_000, len(large.getvalue()) > 10_000_000
    (True, True)
    """
    check_is_fitted(estimator)
    for featurizer in _featurizers(estimator, set()):
        featurizer.check_portable()
    twin = copy.deepcopy(estimator)
    found = list(_featurizers(twin, set()))
    if not found:
        raise ValueError(
            f"{type(estimator).__name__} contains no fitted featurizer of this package."
        )
    for featurizer in found:
        featurizer.carry_weights()
    return twin


def _featurizers(part: Any, seen: set[int]) -> Iterator[BaseFeaturizer]:
    """Find the fitted featurizers in an estimator, wherever it keeps them."""
    if id(part) in seen:
        return
    seen.add(id(part))
    if isinstance(part, BaseFeaturizer):
        if hasattr(part, "weights_digest_"):
            yield part
        return
    if isinstance(part, list | tuple):
        inner = list(part)
    elif isinstance(part, dict):
        inner = list(part.values())
    else:
        inner = list(vars(part).values()) if hasattr(part, "get_params") else []
    for value in inner:
        yield from _featurizers(value, seen)


def skops_trusted() -> list[str]:
    """List the types of this package that `skops.io.load` has to trust.

    Their state consists of strings, numbers, lists, dictionaries and arrays.

    Returns
    -------
    list of str
        Names to pass as ``trusted``, along with the names of other types that you trust.

    Examples
    --------
    >>> from sklearn_pretrained import skops_trusted
    >>> "sklearn_pretrained.PretrainedImageFeaturizer" in skops_trusted()
    True
    """
    return [f"sklearn_pretrained.{name}" for name in _KINDS]
