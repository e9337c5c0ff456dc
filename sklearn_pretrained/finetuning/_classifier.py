"""Items and labels → a classifier over tuned features: the estimator that users hold."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.utils import assert_all_finite
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_array, column_or_1d

from .._sklearn import StrOptions
from ._heads import head_has, labels, probabilities
from ._skeleton import BaseFineTuned, Floats
from ._tasks import Classes


class FineTunedClassifier(ClassifierMixin, BaseFineTuned):
    """A classifier that trains the upper layers of a pretrained network.

    The head is first fitted on frozen features, and training starts from its coefficients. The
    layers up to ``train_from`` are not trained: they are computed once for each distinct item and
    kept in the featurizer's cache. Read more in the :ref:`User Guide <finetuning>`.

    Parameters
    ----------
    featurizer : estimator
        A featurizer of this package, which determines the network, preprocessing, cache and
        device. The layers between ``train_from`` and its ``layer`` are trained.

    train_from : str, int, float or None, default=-3
        The layers above this one are trained. It can be given in any form that the parameter
        ``layer`` of featurizers accepts. None trains nothing: the head is fitted on frozen
        features. Train more layers if there are many rows, or if they differ much from the data
        that the network was trained on.

    head : estimator, default=None
        A linear classifier that is fitted on frozen features. None uses
        ``LogisticRegression(max_iter=1000)``, one per label for multilabel targets.

    objective : {"cross_entropy", "contrastive"}, default="cross_entropy"
        "cross_entropy" trains layers and head together, with labels smoothed by 0.1.
        "contrastive" trains the layers on pairs of rows, so that rows of one class become similar
        and others different, and then fits the head, which can be any classifier. Use it if there
        are few rows.

    epochs : int, default=15
        Maximum number of passes over the training rows.

    learning_rate : float or "auto", default="auto"
        Maximum learning rate of AdamW. The rate increases during the first fifth of the steps and
        then decreases to zero; lower layers use down to 0.8 of it. "auto" is 5e-5 for networks
        that normalise each row by itself (transformers, ConvNeXt) and 1e-3 for others. Lower it if
        the training loss in ``history_`` does not decrease.

    batch_size : int, default=16
        Number of rows per training step.

    weight_decay : float, default=0.01
        Weight decay of AdamW.

    class_weight : dict, "balanced" or None, default=None
        Weights of the classes.

    augment : {"flip"}, default=None
        "flip" trains on each image or on its mirror image, by chance in every epoch. Both go
        through the layers up to ``train_from`` once and are cached. Only for images; prediction
        uses the image as it is. Without effect if ``train_from`` is None.

    record_dtype : {"float32", "float16"}, default="float32"
        Precision in which the outputs of ``train_from`` are cached. "float16" needs half of the
        space, and changes them by up to 0.05%, in training and in prediction alike.

    validation_fraction : float, default=0.2
        Fraction of the rows, or of the groups, that are held out. The best epoch is the one with
        the lowest loss on them, unless its accuracy is lower than that of frozen features by more
        than two standard errors. The network is then trained on all rows for as many epochs. With
        0, or with too few rows, the last epoch is kept.

    patience : int or None, default=None
        Number of epochs without improvement after which training stops. None trains for all
        epochs.

    random_state : int, RandomState or None, default=None
        Determines which rows are held out, and the order of training rows. Pass an int for
        reproducible results on one thread.

    verbose : bool, default=False
        Whether to print the size of the cached activations and to show progress bars.

    Attributes
    ----------
    classes_ : ndarray
        The class labels, or the columns of a multilabel target. Labels of which no row can be
        learned from, because its item cannot be read or its weight is 0, are not among them.

    featurizer_ : estimator
        The fitted featurizer.

    trunk_ : estimator or None
        The featurizer of the layers up to ``train_from_``; None if nothing was trained.

    train_from_ : str or None
        Name of the layer above which the network was trained; None if frozen features were best.

    head_ : estimator or None
        The fitted head; None if it was trained with the layers.

    head_coef_, head_intercept_ : ndarray or None
        Coefficients of the trained head; None if ``head_`` is used.

    changed_ : dict of str to ndarray
        The tensors of the network that training changed.

    history_ : list of dict
        Losses, score on held-out rows, and seconds of each epoch. Epoch 0 is the head on frozen
        features.

    best_epoch_ : int
        The epoch whose weights were kept.

    improvement_ : float
        Gain in accuracy over frozen features on the held-out rows. It can be slightly negative,
        since the epoch is chosen by the loss, and is too high on average, since these rows were
        used to choose it. NaN if no rows were held out.

    n_features_in_ : int
        Number of columns of X, if it is a table.

    feature_names_in_ : ndarray of str
        Names of the columns of X, if it has any.

    See Also
    --------
    FineTunedRegressor : The same for regression.
    PretrainedImageFeaturizer : The featurizer of images.

    Notes
    -----
    Batch norm and dropout stay in eval mode, so that features of a row never depend on other rows.
    A copy is trained; the network that featurizers share does not change.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_pretrained import FineTunedClassifier, PretrainedImageFeaturizer
    >>> X, y = load_digits(n_class=3, return_X_y=True)
    >>> featurizer = PretrainedImageFeaturizer(
    ...     image_shape=(8, 8), value_range=(0, 16), image_size=32
    ... )
    >>> tuned = FineTunedClassifier(featurizer, epochs=3, random_state=0).fit(X[:60], y[:60])
    >>> tuned.predict(X[:3])
    array([0, 1, 2])
    >>> [record["epoch"] for record in tuned.history_]
    [0, 1, 2, 3]
    """

    __module__ = "sklearn_pretrained"  # files name the package alone

    _parameter_constraints = {
        **BaseFineTuned._parameter_constraints,
        "objective": [StrOptions({"cross_entropy", "contrastive"})],
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        featurizer: Any,
        *,
        train_from: Any = -3,
        head: Any = None,
        objective: str = "cross_entropy",
        epochs: int = 15,
        learning_rate: float | str = "auto",
        batch_size: int = 16,
        weight_decay: float = 0.01,
        class_weight: Any = None,
        augment: str | None = None,
        record_dtype: str = "float32",
        validation_fraction: float = 0.2,
        patience: int | None = None,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.featurizer = featurizer
        self.train_from = train_from
        self.head = head
        self.objective = objective
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.weight_decay = weight_decay
        self.class_weight = class_weight
        self.augment = augment
        self.record_dtype = record_dtype
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.random_state = random_state
        self.verbose = verbose

    def _targets(self, y: Any) -> NDArray[np.intp]:
        assert_all_finite(y, input_name="y")
        check_classification_targets(y)
        self._is_multilabel = type_of_target(y) == "multilabel-indicator"
        if self._is_multilabel:
            y = check_array(y, dtype=int)
            self.classes_ = np.arange(y.shape[1])
            return y
        self.classes_, y = np.unique(column_or_1d(y, warn=True), return_inverse=True)
        self._check_classes(self.classes_)
        return y

    def _check_classes(self, classes: NDArray[Any]) -> None:
        if len(classes) < 2:  # noqa: PLR2004
            raise ValueError(
                f"{type(self).__name__} needs rows of at least two classes; the data holds one "
                f"class, {classes[0]!r}."
            )

    def _weights(self, X: Any, y: Any, sample_weight: Any) -> Floats:
        self._class_weights(y)  # what is wrong with them is said before anything is computed
        return super()._weights(X, y, sample_weight)

    def _class_weights(self, y: NDArray[Any]) -> Floats:
        if self.class_weight is None:
            return np.ones(len(y))
        named = y if self._is_multilabel else self.classes_[y]
        return compute_sample_weight(self.class_weight, named)

    def _learnable(
        self, y: Any, weights: Floats, readable: NDArray[np.bool_]
    ) -> tuple[NDArray[np.intp], Any, Floats]:
        used, y, given = super()._learnable(y, weights, readable)
        weights = np.zeros_like(given)
        weights[used] = given[used] * self._class_weights(y[used])
        used = used[weights[used] > 0]
        if not self._is_multilabel:
            there, numbers = np.unique(y[used], return_inverse=True)
            self._check_classes(self.classes_[there])
            self.classes_, y = self.classes_[there], np.zeros_like(y)
            y[used] = numbers
        return used, y, weights

    def _plain_head(self) -> Any:
        head = LogisticRegression(max_iter=1000)
        return OneVsRestClassifier(head) if self._is_multilabel else head

    def _task(self, y: NDArray[Any], used: NDArray[np.intp]) -> Classes:  # noqa: ARG002
        return Classes(y, len(self.classes_))

    def predict(self, X: Any) -> NDArray[Any]:
        """Predict each item's label.

        Parameters
        ----------
        X : array-like of items
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_labels)
            The labels.
        """
        if not self._is_trained():
            decided = self.head_.predict(self._tuned(X))
            return decided if self._is_multilabel else self.classes_[decided]
        which = labels(self._scores(X), is_multilabel=self._is_multilabel)
        return which if self._is_multilabel else self.classes_[which]

    @available_if(head_has("decision_function"))
    def decision_function(self, X: Any) -> NDArray[Any]:
        """Return each item's scores.

        Parameters
        ----------
        X : array-like of items
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            One column for each class, or one number for the second of two.
        """
        if not self._is_trained():
            return self.head_.decision_function(self._tuned(X))
        scores = self._scores(X)
        return scores[:, 0] if scores.shape[1] == 1 and not self._is_multilabel else scores

    @available_if(head_has("predict_proba"))
    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Return how probable each label is.

        Parameters
        ----------
        X : array-like of items
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            One column for each class.
        """
        if not self._is_trained():
            return self.head_.predict_proba(self._tuned(X))
        return probabilities(self._scores(X), is_multilabel=self._is_multilabel)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
