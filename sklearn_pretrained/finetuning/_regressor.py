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
        A linear regressor that is fitted on frozen features. None uses ``Ridge()``.

    objective : {"squared_error", "contrastive"}, default="squared_error"
        "squared_error" trains layers and head together. "contrastive" trains the layers on pairs
        of rows, so that rows with similar targets become similar, and then fits the head, which
        can be any regressor. Use it if there are few rows.

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

    augment : {"flip"}, default=None
        "flip" trains on each image or on its mirror image, by chance in every epoch. Both go
        through the layers up to ``train_from`` once and are cached. Only for images; prediction
        uses the image as it is. Without effect if ``train_from`` is None.

    record_dtype : {"float32", "float16"}, default="float32"
        Precision in which the outputs of ``train_from`` are cached. "float16" needs half of the
        space, and changes them by up to 0.05%, in training and in prediction alike.

    validation_fraction : float, default=0.2
        Fraction of the rows, or of the groups, that are held out and determine the best epoch. The
        network is then trained on all rows for as many epochs. With 0, or with too few rows, the
        last epoch is kept.

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
        Gain in score over frozen features on the held-out rows. They were also used to choose
        the epoch, so it is slightly too high. NaN if no rows were held out.

    n_features_in_ : int
        Number of columns of X, if it is a table.

    feature_names_in_ : ndarray of str
        Names of the columns of X, if it has any.

    See Also
    --------
    FineTunedClassifier : The same for classification.
    PretrainedImageFeaturizer : The featurizer of images.

    Notes
    -----
    Batch norm and dropout stay in eval mode, so that features of a row never depend on other rows.
    A copy is trained; the network that featurizers share does not change.

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
        self.augment = augment
        self.record_dtype = record_dtype
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

    def _task(self, y: NDArray[Any], used: NDArray[np.intp]) -> Numbers:
        return Numbers(y, used)

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Predict each item's number, or numbers.

        Parameters
        ----------
        X : array-like of items
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_targets)
            The predicted values.
        """
        if not self._is_trained():
            return self.head_.predict(self._tuned(X))
        found = self._scores(X).astype(np.float64)
        return found[:, 0] if self._is_flat else found

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
