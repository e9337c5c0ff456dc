"""A fitted estimator → one that carries its networks; and the types that skops must trust."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, TypeVar

from sklearn.utils.validation import check_is_fitted

from ._featurizer import BaseFeaturizer

Estimator = TypeVar("Estimator")

_KINDS = {
    "_bert": "BertCLSFeaturizer",
    "_image": "PretrainedImageFeaturizer",
    "_module": "ModuleFeaturizer",
    "_text": "PretrainedTextFeaturizer",
}


def embed_weights(estimator: Estimator) -> Estimator:
    """Put the networks' weights into a fitted estimator, so that its file stands alone.

    Without this a file holds the weights' SHA-256, and a machine that opens it needs the weights.
    With it, the file is as large as the network, and needs nothing but this package.

    Parameters
    ----------
    estimator : object
        A fitted featurizer, or a pipeline, search or column transformer that holds some.

    Returns
    -------
    object
        A copy. Weights are in it as safetensors, with configuration and tokenizer for texts; they
        stay until the copy is fitted anew or cloned.

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
    twin = copy.deepcopy(estimator)
    found = list(_featurizers(twin, set()))
    if not found:
        raise ValueError(f"{type(estimator).__name__} holds no fitted featurizer of this package.")
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
    """List the types of this package that `skops.io.load` must be told to trust.

    Their state is plain: strings, numbers, lists, dictionaries, arrays.

    Returns
    -------
    list of str
        To be passed as ``trusted=``, with the names of other types that you trust.

    Examples
    --------
    >>> from sklearn_pretrained import skops_trusted
    >>> "sklearn_pretrained._image.PretrainedImageFeaturizer" in skops_trusted()
    True
    """
    return [f"sklearn_pretrained.{module}.{name}" for module, name in _KINDS.items()]
