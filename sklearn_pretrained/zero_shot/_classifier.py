"""Names of classes → a classifier of images or texts: the estimator that users hold."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import assert_all_finite, check_consistent_length
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from .._featurizer import BaseFeaturizer
from .._sklearn import ColumnsOfFeaturizer, Interval, StrOptions, fit_context, require_y
from .._text import MINILM
from ._labels import learn
from ._networks import Readers, directions, readers, similarity
from ._sentences import sentences

_CONSTRAINTS = BaseFeaturizer._parameter_constraints  # noqa: SLF001  scikit-learn's name for them
_OF_FEATURIZERS = ("batch_size", "device", "dtype", "cache", "verbose")


class ZeroShotClassifier(ColumnsOfFeaturizer, ClassifierMixin, BaseEstimator):
    """Classify images or texts by the names of the classes.

    The name of each class is written into templates, such as "This is a photo of {}.", and read by
    the network's text encoder. An item belongs to the class whose prompts are most similar to it.
    Items with labels can join the prompts: a ridge regression of the labels, in closed form over
    cached features, is added to the similarities, and leave-one-out decides how much it counts.
    Read more in the :doc:`User Guide </zero_shot>`.

    Parameters
    ----------
    model : str, default="sentence-transformers/all-MiniLM-L6-v2"
        A network over images and texts (CLIP, SigLIP), which classifies images, or a sentence
        encoder, which classifies texts; by its name on the hub or the path of a folder.

    weights : str or None, default="default"
        A revision on the hub. None means random weights, which are only useful in tests.

    templates : str or list of str, default="auto"
        Sentences with ``{}`` in the place of the class. The features of several are averaged.
        "auto" is "This is a photo of {}." for images, as in transformers' pipeline, and "This text
        is about {}." for texts.

    class_names : dict, default=None
        Names of classes whose labels are not names, such as ``{0: "cat", 1: "dog"}``.

    temperature : float or "auto", default="auto"
        Divisor of the cosine similarities. "auto" is the one that the network was trained with, or
        0.05 for sentence encoders, which record none. It changes the probabilities, and the
        predictions only if there are labelled items.

    label_weight : float or "auto", default="auto"
        Weight of the labelled items relative to the prompts. "auto" chooses the weight with the
        smallest leave-one-out log loss; 0 ignores labelled items.

    batch_size : int or "auto", default="auto"
        Number of items per forward pass. It affects speed and memory, never the results.

    device : str, torch.device or list of them, default="auto"
        Where the network runs, as in `PretrainedImageFeaturizer`.

    dtype : {"float32", "bfloat16", "float16", "auto"}, default="float32"
        Precision of the network.

    cache : "memory", path, FeatureCache or None, default="memory"
        Where computed features are kept.

    verbose : bool, default=False
        Whether to show a progress bar.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.

    featurizer_ : estimator
        The featurizer of the items.

    prompts_ : ndarray of shape (n_classes, n_features)
        The features of each class's prompts, averaged and L2-normalised.

    scale_, bias_ : float
        Logits are ``scale_ * cosine + bias_``, plus what was learned from labels.

    each_alone_ : bool
        Whether each class is scored separately from the others, as SigLIP was trained.

    coef_ : ndarray of shape (n_classes, n_features)
        Coefficients of the logits for L2-normalised features: scaled prompts, plus what was
        learned from labels.

    intercept_ : ndarray of shape (n_classes,)
        Intercepts of the logits.

    label_weight_ : float
        Weight of the labelled items; 0 if there are none.

    n_features_in_ : int
        Number of columns of X, where items are rows of a table.

    See Also
    --------
    PretrainedTextFeaturizer : Features of texts; ``layer="projection"`` for the shared space.

    Notes
    -----
    For networks that score each class separately (SigLIP), ``predict_proba`` returns sigmoids, as
    transformers' pipeline does, and rows need not sum to 1.

    Examples
    --------
    >>> from sklearn_pretrained import ZeroShotClassifier
    >>> classifier = ZeroShotClassifier().fit(None, ["sports", "cooking"])
    >>> classifier.predict(["The striker scored twice.", "Simmer the onions in butter."])
    array(['sports', 'cooking'], dtype='<U7')
    """

    __module__ = "sklearn_pretrained"  # files name the package alone

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "model": [str],
        "weights": [str, None],
        "templates": [str, list, tuple],
        "class_names": [dict, None],
        "temperature": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        "label_weight": [StrOptions({"auto"}), Interval(Real, 0, None, closed="left")],
        **{name: _CONSTRAINTS[name] for name in _OF_FEATURIZERS},
    }

    def __init__(
        self,
        model: str = MINILM,
        *,
        weights: str | None = "default",
        templates: str | Sequence[str] = "auto",
        class_names: dict[Any, str] | None = None,
        temperature: float | str = "auto",
        label_weight: float | str = "auto",
        batch_size: int | str = "auto",
        device: str | Sequence[str] = "auto",
        dtype: str = "float32",
        cache: Any = "memory",
        verbose: bool = False,
    ) -> None:
        self.model = model
        self.weights = weights
        self.templates = templates
        self.class_names = class_names
        self.temperature = temperature
        self.label_weight = label_weight
        self.batch_size = batch_size
        self.device = device
        self.dtype = dtype
        self.cache = cache
        self.verbose = verbose

    def _readers(self) -> Readers:
        """Choose what reads items and prompts."""
        given = {name: getattr(self, name) for name in _OF_FEATURIZERS}
        return readers(self.model, self.weights, given)

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any = None) -> ZeroShotClassifier:
        """Read the names of the classes, and learn from labelled items where there are any.

        Parameters
        ----------
        X : array-like of items or None
            Labelled images or texts. With None, only the names of the classes are used.
        y : array-like
            The label of each item or, with ``X=None``, the classes.

        Returns
        -------
        self : object
            The fitted classifier.
        """
        require_y(self, y, ": it holds the labels of X, or with X=None the names of the classes")
        assert_all_finite(y, input_name="y")
        check_classification_targets(y)
        self.classes_, numbers = np.unique(column_or_1d(y, warn=True), return_inverse=True)
        if X is not None:
            check_consistent_length(X, y)
        found = self._readers()
        rows, self.featurizer_ = found.read_items(X), found.items
        named, names = self.classes_.tolist(), self.class_names or {}
        texts = sentences(self.templates, named, names, sees_images=found.sees_images)
        self.prompts_ = found.read_prompts(texts, len(named))
        own = similarity(found.prompts, self.temperature, sees_images=found.sees_images)
        self.scale_, self.bias_, self.each_alone_ = own.scale, own.bias, own.each_alone
        self.coef_ = self.scale_ * self.prompts_
        self.intercept_ = np.full(len(self.classes_), self.bias_)
        self.label_weight_ = 0.0
        if rows is not None:
            learned = learn(rows, numbers, self._logits(rows), self.label_weight)
            self.coef_ += learned.weight * learned.coef
            self.intercept_ += learned.weight * learned.intercept
            self.label_weight_ = learned.weight
        return self

    def _logits(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        return rows @ self.coef_.T + self.intercept_

    def _judge(self, X: Any) -> NDArray[np.float64]:
        check_is_fitted(self)
        return self._logits(directions(self.featurizer_.transform(X)))

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Return the logits: scaled similarities, with what labels added.

        Parameters
        ----------
        X : array-like of items
            Images or texts.

        Returns
        -------
        ndarray of shape (n_samples, n_classes) or (n_samples,)
            One column for each class; for two classes, the difference between the second and the
            first.
        """
        logits = self._judge(X)
        return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits  # noqa: PLR2004

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Compute the probability of each class, with the network's own temperature.

        Parameters
        ----------
        X : array-like of items
            Images or texts.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            One column for each class.
        """
        logits = self._judge(X)
        return expit(logits) if self.each_alone_ else softmax(logits, axis=1)

    def predict(self, X: Any) -> NDArray[Any]:
        """Predict each item's class.

        Parameters
        ----------
        X : array-like of items
            Images or texts.

        Returns
        -------
        ndarray of shape (n_samples,)
            The labels.
        """
        chosen = self._judge(X).argmax(axis=1)
        return self.classes_[chosen]

    def provenance(self) -> Any:
        """Say what decides the results: network, weights, preprocessing, versions, prompts.

        Returns
        -------
        Provenance
            As it was at fit. It prints as text for a model card; ``to_dict()`` is for programs.
        """
        from ..pinned._provenance import Provenance

        check_is_fitted(self)
        recorded = self.featurizer_.provenance().to_dict()
        own = {
            "estimator": type(self).__name__,
            "templates": self.templates,
            "classes": self.classes_.tolist(),
            "label_weight": self.label_weight_,
        }
        return Provenance({**recorded, **own})

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "coef_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        return tags
