"""Numeric rows → features of any frozen network: the estimator that users hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._featurizer import BaseFeaturizer
from ._sklearn import validate_rows

if TYPE_CHECKING:
    from .backbones import Backbone
    from .inputs import Items


class ModuleFeaturizer(BaseFeaturizer):
    """Features of numeric rows from a frozen network of your own.

    The network is any ``nn.Module`` that reads a float32 tensor of shape (N, ...). It is copied,
    frozen and put into eval mode; yours stays as it is. Read more in the
    :ref:`User Guide <own_networks>`.

    Parameters
    ----------
    model : nn.Module, ModuleHandle, callable or ExportedProgram
        The network, a handle on it, a function without arguments that makes it, or a program of
        ``torch.export``. A function that can be imported keeps pickles small: they hold its name
        instead of the weights.

    weights : str or path, default="default"
        With a function: the path of the network's state dict (safetensors, or what
        ``torch.save`` wrote). "default" takes the weights that the function gives.

    layer : str, int, float or list, default="penultimate"
        Where to read: "penultimate" is what the last layer with weights reads, "output" what the
        network returns, a name that of any submodule, an int the number of a main stage, a float
        a relative depth. A list reads several, side by side.

    pooling : {"auto", "avg", "mean", "max", "gem", "cls", "flatten", "none"}, default="auto"
        How an activation becomes a vector. "auto" leaves vectors as they are, and takes the mean
        over positions of maps and sequences; "mean" is "avg".

    batch_size : int or "auto", default="auto"
        Rows in one forward. It decides speed and memory, and never the features.

    device : str, torch.device or list of them, default="auto"
        "cpu", "cuda", "cuda:1", "mps"; "auto" takes the best one that is there. Several, such as
        ``["cuda:0", "cuda:1"]``, take batches in turn.

    dtype : {"float32", "bfloat16", "float16", "auto"}, default="float32"
        Precision of the network. "auto" is bfloat16 where the device computes in it, and else
        float32; `fit` decides it.

    cache : "memory", path, FeatureCache or None, default="memory"
        Where known rows are kept, so that a row is sent through the network once for a whole
        search. "memory" is shared by all featurizers of a process. A path, or a `FeatureCache`,
        is a file that processes, runs and machines share. None keeps nothing.

    keep_layers : {"auto", "main"}, list or None, default="auto"
        Which layers a forward keeps in the cache besides those asked for.

    on_error : {"raise", "nan"}, default="raise"
        Whether a row with NaN or infinity is an error, or a row of NaN.

    verbose : bool, default=False
        Whether to show a progress bar.

    Attributes
    ----------
    model_ : str
        The network's name.

    weights_digest_ : str
        SHA-256 of the weights. `transform` refuses to work with any others.

    dtype_ : str
        The precision that is used.

    layer_ : str or list of str
        The layer that is read, by name.

    pooling_ : str or list of str
        The pooling that is used.

    n_features_out_ : int
        Number of columns.

    bad_items_ : dict of int to str
        Which rows of the last transform could not be read, and why.

    counts_ : object
        Rows ``asked`` for, ``known`` already, ``computed``, and ``bad``, since fit.

    n_features_in_ : int
        Number of columns of X.

    See Also
    --------
    PretrainedImageFeaturizer : Reads images, with a network of your own too.

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_pretrained import ModuleFeaturizer
    >>> _ = torch.manual_seed(0)
    >>> network = torch.nn.Sequential(
    ...     torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10)
    ... )
    >>> X, y = load_digits(return_X_y=True)
    >>> ModuleFeaturizer(network).fit_transform(X).shape
    (1797, 32)
    """

    def __init__(
        self,
        model: Any,
        *,
        weights: str | Path = "default",
        layer: Any = "penultimate",
        pooling: str = "auto",
        batch_size: int | str = "auto",
        device: str | Sequence[str] = "auto",
        dtype: str = "float32",
        cache: Any = "memory",
        keep_layers: Any = "auto",
        on_error: str = "raise",
        verbose: bool = False,
    ) -> None:
        self.model = model
        self.weights = weights
        self.layer = layer
        self.pooling = pooling
        self.batch_size = batch_size
        self.device = device
        self.dtype = dtype
        self.cache = cache
        self.keep_layers = keep_layers
        self.on_error = on_error
        self.verbose = verbose

    def _read(self, X: Any, *, reset: bool) -> Items:
        from .inputs import read_rows

        X = validate_rows(self, X, reset=reset, allow_nan=self.on_error == "nan", allow_nd=True)
        if reset:
            self.row_shape_ = X.shape[1:]
        elif X.shape[1:] != self.row_shape_:
            raise ValueError(
                f"Rows of X have shape {X.shape[1:]}, and had shape {self.row_shape_} at fit."
            )
        return read_rows(X)

    def _backbone(self) -> Backbone:
        from .backbones import find_image

        return find_image(self.model, weights=self.weights, shape=tuple(self.row_shape_))

    def _canary_item(self) -> Any:
        from .pinned._canary import row

        return row(tuple(self.row_shape_))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags
