"""Items and numbers → a regressor over tuned features: the estimator that users hold."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.linear_model import Ridge
from sklearn.utils.validation import check_array

from .._sklearn import StrOptions
from ._skeleton import BaseFineTuned
from ._tasks import Numbers


class FineTunedRegressor(RegressorMixin, BaseFineTuned):
    """A regressor that trains the upper layers of a pretrained network.

    The head is fitted on frozen features first, and its coefficients start what is trained. What
    lies below ``train_from`` is computed once for each distinct row, and kept in the featurizer's
    cache. Read more in the :ref:`User Guide <finetuning>`.

    Parameters
    ----------
    featurizer : estimator
        One of this package's featurizers: which network, its preprocessing, cache and device. What
        is trained lies between ``train_from`` and its ``layer``.

    train_from : str, int, float or None, default=-3
        A layer, as featurizers take it: what lies above is trained. None trains nothing, which is
        the head behind frozen features.

    head : estimator, default=None
        A linear regressor that is fitted on frozen features. None is ``Ridge()``.

    objective : {"squared_error", "contrastive"}, default="squared_error"
        "squared_error" trains layers and head together. "contrastive" draws pairs of rows, makes
        their features as alike as their numbers are, and fits the head, which may be any, on the
        tuned features: for few rows.

    epochs : int, default=15
        Most passes over the rows.

    learning_rate : float or "auto", default="auto"
        The highest rate, of AdamW. It rises over the first fifth of the steps and sinks to
        nothing, and lower layers have down to 0.8 of it. "auto" is 5e-5 for networks that norm
        each row alone (transformers, ConvNeXt), and else 1e-3.

    batch_size : int, default=16
        Rows in a step.

    weight_decay : float, default=0.01
        Of AdamW.

    validation_fraction : float, default=0.2
        Share of the rows, or of the groups, that are held out and decide which epoch was best;
        then all rows are trained on for as long. With 0, and where there are too few rows, the
        last epoch is kept.

    patience : int or None, default=None
        Epochs without a better one after which training ends.

    random_state : int, RandomState or None, default=None
        Decides which rows are held out, and the order of rows. An int gives the same model each
        time, on one thread.

    verbose : bool, default=False
        Whether to say what is kept, and to show progress bars.

    Attributes
    ----------
    featurizer_ : estimator
        The fitted featurizer.

    trunk_ : estimator or None
        The featurizer of what lies below ``train_from_``; None where nothing was trained.

    train_from_ : str or None
        Name of the layer above which the network was trained; None where the frozen probe was best.

    head_ : estimator or None
        The fitted head; None where it was trained with the layers.

    head_coef_, head_intercept_ : ndarray or None
        The head as it was trained; None where ``head_`` decides.

    changed_ : dict of str to ndarray
        The network's changed tensors.

    history_ : list of dict
        For each epoch its losses, its score on the rows held out, and its seconds. Epoch 0 is the
        frozen probe.

    best_epoch_ : int
        The epoch that was kept.

    improvement_ : float
        What was gained over the frozen probe on the rows held out, which also chose the epoch.
        NaN where none were held out.

    n_features_in_ : int
        Number of columns of X, where the featurizer reads a table.

    feature_names_in_ : ndarray of str
        Names of X's columns, where it had any.

    See Also
    --------
    FineTunedClassifier : The same for labels.
    PretrainedImageFeaturizer : The featurizer of images.

    Notes
    -----
    Batch norm and dropout stay as in use, so that a row's features never depend on other rows. The
    network that featurizers share never changes: a copy is trained.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from sklearn_pretrained import FineTunedRegressor, ModuleFeaturizer
    >>> _ = torch.manual_seed(0)
    >>> network = torch.nn.Sequential(
    ...     torch.nn.Linear(4, 16), torch.nn.ReLU(), torch.nn.Linear(16, 8), torch.nn.Linear(8, 1)
    ... )
    >>> X = np.random.RandomState(0).rand(60, 4)
    >>> tuned = FineTunedRegressor(ModuleFeaturizer(network), train_from="0", random_state=0)
    >>> tuned.fit(X, X[:, 0] * X[:, 1]).predict(X[:2]).shape
    (2,)
    """

    __module__ = "sklearn_pretrained"  # files name the package alone

    _parameter_constraints = {
        **BaseFineTuned._parameter_constraints,
        "objective": [StrOptions({"squared_error", "contrastive"})],
    }

    def __init__(
        self,
        featurizer: Any,
        *,
        train_from: Any = -3,
        head: Any = None,
        objective: str = "squared_error",
        epochs: int = 15,
        learning_rate: float | str = "auto",
        batch_size: int = 16,
        weight_decay: float = 0.01,
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
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.random_state = random_state
        self.verbose = verbose

    def _targets(self, y: Any) -> NDArray[np.float64]:
        y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
        self._is_flat = y.ndim == 1
        return y

    def _plain_head(self) -> Any:
        return Ridge()

    def _task(self, y: NDArray[Any]) -> Numbers:
        return Numbers(y)

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Predict each item's number, or numbers.

        Parameters
        ----------
        X : array-like of items
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_targets)
            What is predicted.
        """
        if not self._is_trained():
            return self.head_.predict(self.transform(X))
        features = self.transform(X)
        found = (features @ self.head_coef_.T + self.head_intercept_).astype(np.float64)
        return found[:, 0] if self._is_flat else found

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
