"""Numeric rows → features of any frozen network: the estimator that users hold."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sklearn import get_config

from ._featurizer import BaseFeaturizer
from ._sklearn import validate_rows

if TYPE_CHECKING:
    from .backbones import Backbone
    from .inputs import Items


class ModuleFeaturizer(BaseFeaturizer):
    """Features of numeric rows from a frozen network of your own.

    The network is any ``nn.Module`` that takes a float32 tensor of shape (N, ...). A copy of it
    is frozen and put into eval mode; your own object is not changed. Read more in the
    :ref:`User Guide <own_networks>`.

    Parameters
    ----------
    model : nn.Module, ModuleHandle, callable or ExportedProgram
        The network, a handle on it, a function without arguments that returns it, or an exported
        program (``torch.export``). A function that can be imported keeps pickles small, since
        they hold its name instead of the weights.

    weights : str or path, default="default"
        If ``model`` is a function, the path of the network's state dict (safetensors, or a file
        written by ``torch.save``). "default" uses the weights that the function returns.

    layer : str, int, float or list, default="penultimate"
        The layer to read. "penultimate" is the input of the last layer with weights, "output"
        the output of the network. A string can name any submodule, an int is the index of a main
        stage, and a float in (0, 1] is a relative depth. The features of a list of layers are
        concatenated.

    pooling : {"auto", "avg", "mean", "max", "gem", "cls", "flatten", "none"}, default="auto"
        How an activation is reduced to a vector. "auto" leaves vectors unchanged and takes the
        mean over the positions of maps and sequences. "mean" is an alias of "avg".

    batch_size : int or "auto", default="auto"
        Number of rows per forward pass. It affects speed and memory, never the features.

    device : str, torch.device or list of them, default="auto"
        Where the network runs: "cpu", "cuda", "cuda:1" or "mps". "auto" selects the best
        available device. With a list, such as ``["cuda:0", "cuda:1"]``, the devices take batches
        in turn.

    engine : {"torch", "openvino", "auto"}, default="torch"
        What computes the network on a CPU in float32. "openvino" (extra ``openvino``) is used
        where its rows are those of torch, which is tried on the first batches. "auto" takes the
        faster of the two, which is measured then. It affects speed, never the features.

    dtype : {"float32", "bfloat16", "float16", "auto"}, default="float32"
        Precision of the network. Lower precisions are faster, and features differ by a few
        percent. "auto" uses bfloat16 if the device supports it and float32 otherwise; the choice
        is made in `fit`.

    cache : "memory", path, FeatureCache or None, default="memory"
        Where computed features are kept, so that a row goes through the network only once in a
        whole search. "memory" is shared by all featurizers of a process. A path or a
        `FeatureCache` is a file for all processes and runs of a machine. A folder
        (``"features/"``), an address (``"s3://bucket/features"``) or a `SharedFeatureCache` is
        shared by machines. None disables caching.

    keep_layers : {"auto", "main"}, list or None, default="auto"
        Which layers are cached in addition to the requested ones. "auto" keeps the main stages
        while fitting and searching, and nothing more in an estimator loaded from a pickle. None
        stops the forward at the deepest requested layer.

    on_error : {"raise", "nan"}, default="raise"
        How to handle rows with NaN or infinity: "raise" raises an error, "nan" gives a row of
        NaN and a warning.

    output : {"numpy", "torch"}, default="numpy"
        What `transform` returns: an array, or a torch tensor on the device, for scikit-learn's
        estimators that compute there (``set_config(array_api_dispatch=True)``).

    verbose : bool, default=False
        Whether to show a progress bar.

    Attributes
    ----------
    model_ : str
        Name of the network.

    weights_digest_ : str
        SHA-256 of the weights. `transform` raises an error if the weights have changed.

    dtype_ : str
        The precision in use.

    engine_ : str
        What computed the last rows: "torch" or "openvino".

    layer_ : str or list of str
        The name of the layer that is read, or of each layer.

    pooling_ : str or list of str
        The pooling in use, or that of each layer.

    n_features_out_ : int
        Number of features.

    bad_items_ : dict of int to str
        Positions of the rows that the last `transform` could not read, with the reason.

    counts_ : object
        Number of rows since `fit` that were ``asked`` for, ``known`` from the cache,
        ``computed``, and ``bad``.

    n_features_in_ : int
        Number of columns of X.

    See Also
    --------
    PretrainedImageFeaturizer : Features of images, also from a network of your own.

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

    __module__ = "sklearn_pretrained"  # files name the package alone

    def __init__(
        self,
        model: Any,
        *,
        weights: str | Path = "default",
        layer: Any = "penultimate",
        pooling: Literal["auto", "avg", "mean", "max", "gem", "cls", "flatten", "none"] = "auto",
        batch_size: int | Literal["auto"] = "auto",
        device: str | Sequence[str] = "auto",
        engine: Literal["torch", "openvino", "auto"] = "torch",
        dtype: Literal["float32", "bfloat16", "float16", "auto"] = "float32",
        cache: Any = "memory",
        keep_layers: Any = "auto",
        on_error: Literal["raise", "nan"] = "raise",
        output: Literal["numpy", "torch"] = "numpy",
        verbose: bool = False,
    ) -> None:
        self.model = model
        self.weights = weights
        self.layer = layer
        self.pooling = pooling
        self.batch_size = batch_size
        self.device = device
        self.engine = engine
        self.dtype = dtype
        self.cache = cache
        self.keep_layers = keep_layers
        self.on_error = on_error
        self.output = output
        self.verbose = verbose

    def _read(self, X: Any, *, reset: bool) -> Items:
        from .inputs import read_rows

        X = validate_rows(self, X, reset=reset, allow_nan=self.on_error == "nan", allow_nd=True)
        if reset:
            self.row_shape_ = X.shape[1:]
        elif X.shape[1:] != self.row_shape_:
            raise ValueError(
                f"Rows of X have shape {X.shape[1:]}, but had shape {self.row_shape_} at fit."
            )
        is_checked = self.on_error != "nan" and not get_config()["assume_finite"]
        return read_rows(X, is_finite=is_checked)

    def _backbone(self) -> Backbone:
        from .backbones import find_image

        return find_image(self.model, weights=self.weights, shape=tuple(self.row_shape_))

    def _canary_item(self) -> Callable[[], Any]:
        from .pinned._canary import row

        return functools.partial(row, tuple(self.row_shape_))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags
