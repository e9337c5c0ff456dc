"""Images → features: the estimator that users hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ._featurizer import BaseFeaturizer
from ._sklearn import Interval, StrOptions, validate_rows

if TYPE_CHECKING:
    from .backbones import Backbone
    from .inputs import Items


class PretrainedImageFeaturizer(BaseFeaturizer):
    """Features of images from a frozen pretrained network.

    Each image is preprocessed as it was when the network was trained, passed through the network
    up to the chosen layer, and pooled to a vector. The network is never trained. Read more in the
    :ref:`User Guide <images>`.

    Parameters
    ----------
    model : str, callable, nn.Module or ModuleHandle, default="mobilenet_v2"
        The network: a torchvision classifier by name, ``"timm/…"`` for a timm model, or a name
        from a registered source (`list_backbones` lists them all); a transformers model by its
        name on the hub or the path of a folder (``"facebook/dinov2-small"``), of which only the
        image encoder is loaded; or a network of your own, which needs ``preprocessing``: a
        module, a function that returns one, or an exported program (``torch.export``). The
        weights of the default are part of this package, so it works without a network connection.

    weights : str, path, WeightsEnum or None, default="default"
        The weights to load: the name that torchvision gives them (``"IMAGENET1K_V2"``, or the
        enum member), or the path of a state dict. "default" uses the weights shipped with this
        package if there are any (mobilenet_v2's ``IMAGENET1K_V1``), and torchvision's default
        otherwise. For a transformers model, a revision on the hub. None means random weights,
        which are only useful in tests, and gives a warning.

    layer : str, int, float or list, default="penultimate"
        The layer to read. "penultimate" is the input of the network's classifier, "output" the
        output of the network, and "projection" the embedding that CLIP, SigLIP and BLIP share
        with texts. A string can name any submodule (see `list_layers`). An int is the index of a
        main stage; negative values count from the end. A float in (0, 1] is a relative depth, so
        that the same grid works for several networks. The features of a list of layers are
        concatenated.

    pooling : {"auto", "avg", "mean", "max", "gem", "cls", "flatten", "none"}, default="auto"
        How an activation is reduced to a vector: mean, maximum or generalised mean over
        positions, the class token, or all values flattened. "none" keeps the activation as it
        is, an array of 3 or 4 dimensions. "auto" uses the class token if there is one and the
        mean otherwise. "mean" is an alias of "avg".

    image_size : int, default=None
        Side length, in pixels, of the square image that the network receives. None uses the size
        it was trained on. Larger values cost more and may capture finer detail. Networks with
        fixed position embeddings accept their own size only.

    image_shape : tuple, default=None
        Shape of the images if X is a table with one flattened image per row: (height, width),
        (height, width, channels) or (channels, height, width).

    value_range : tuple of (low, high), default=None
        The values that mean black and white in numeric images. None infers them from the dtype:
        0 to 255 for uint8, 0 to 65535 for uint16, 0 to 1 for floats and bools. Values outside
        the range are an error.

    resize : {"fast", "exact"}, default="fast"
        How images are resized: "fast" as torchvision resizes tensors; "exact", which is slower,
        bit for bit as torchvision resizes PIL images. Features differ by about 0.2%.

    preprocessing : callable, default=None
        Function from a PIL image to a tensor of shape (C, H, W), for a network of your own.
        Torchvision's transforms can be passed, such as ``ResNet50_Weights.DEFAULT.transforms()``.

    augment : {"flip"}, default=None
        "flip" averages the features of each image and its mirror image, both in fitting and in
        prediction. It needs two forward passes per image; use a search to see whether it helps.

    batch_size : int or "auto", default="auto"
        Number of images per forward pass. It affects speed and memory, never the features.

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
        Where computed features are kept, so that an image goes through the network only once in a
        whole search. "memory" is shared by all featurizers of a process. A path or a
        `FeatureCache` is a file for all processes and runs of a machine. A folder
        (``"features/"``), an address (``"s3://bucket/features"``) or a `SharedFeatureCache` is
        shared by machines. None disables caching.

    keep_layers : {"auto", "main"}, list or None, default="auto"
        Which layers are cached in addition to the requested ones, so that a search over layers
        runs the network once. "auto" keeps the main stages while fitting and searching, and
        nothing more in an estimator loaded from a pickle. A list names layers. None stops the
        forward at the deepest requested layer.

    on_error : {"raise", "nan"}, default="raise"
        How to handle images that cannot be read: "raise" raises an error, "nan" gives a row of
        NaN and a warning.

    output : {"numpy", "torch"}, default="numpy"
        What `transform` returns: an array, or a torch tensor on the device, for scikit-learn's
        estimators that compute there (``set_config(array_api_dispatch=True)``).

    verbose : bool, default=False
        Whether to show a progress bar.

    Attributes
    ----------
    model_ : str
        Source and name of the network.

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
        Positions of the items that the last `transform` could not read, with the reason.

    counts_ : object
        Number of rows since `fit` that were ``asked`` for, ``known`` from the cache,
        ``computed``, and ``bad``.

    n_features_in_ : int
        Number of columns of X. Only with ``image_shape``.

    See Also
    --------
    PretrainedTextFeaturizer : Features of texts.
    ModuleFeaturizer : Features of numeric rows from any network.
    list_layers : List the layers of a network with their widths and costs.

    Notes
    -----
    A row depends only on the image and the parameters: other images, their order and the batch
    size change it by no more than 1e-5 of its norm. Transparent pixels are blended with white,
    EXIF orientation is applied, and only the first frame of an animation is used.

    Examples
    --------
    >>> from sklearn.datasets import load_sample_images
    >>> from sklearn_pretrained import PretrainedImageFeaturizer
    >>> images = load_sample_images().images
    >>> PretrainedImageFeaturizer().fit_transform(images).shape
    (2, 1280)
    >>> PretrainedImageFeaturizer(layer=["features.3", -1]).fit_transform(images).shape
    (2, 1304)
    """

    __module__ = "sklearn_pretrained"  # files name the package alone

    _parameter_constraints = {
        **BaseFeaturizer._parameter_constraints,
        "image_size": [Interval(Integral, 1, None, closed="left"), None],
        "image_shape": [tuple, list, None],
        "value_range": [tuple, list, None],
        "resize": [StrOptions({"fast", "exact"})],
        "preprocessing": [callable, None],
        "augment": [StrOptions({"flip"}), None],
    }

    def __init__(
        self,
        model: Any = "mobilenet_v2",
        *,
        weights: str | Path | None = "default",
        layer: Any = "penultimate",
        pooling: Literal["auto", "avg", "mean", "max", "gem", "cls", "flatten", "none"] = "auto",
        image_size: int | None = None,
        image_shape: tuple[int, ...] | None = None,
        value_range: tuple[float, float] | None = None,
        resize: Literal["fast", "exact"] = "fast",
        preprocessing: Callable[[Any], Any] | None = None,
        augment: Literal["flip"] | None = None,
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
        self.image_size = image_size
        self.image_shape = image_shape
        self.value_range = value_range
        self.resize = resize
        self.preprocessing = preprocessing
        self.augment = augment
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
        from .inputs import keep_whole_numbers, read_images

        if self.image_shape is not None:
            rows = validate_rows(self, X, reset=reset, allow_nan=self.on_error == "nan")
            X = keep_whole_numbers(rows, X) if self.value_range is None else rows
        return read_images(X, image_shape=self.image_shape, value_range=self.value_range)

    def _backbone(self) -> Backbone:
        from .backbones import mirrored

        if self.augment is None:
            return self._one_sided()
        if self.pooling == "none":
            raise ValueError(
                "augment='flip' cannot be combined with pooling='none': positions in the mirror "
                "image do not match those in the image. Use another pooling, or augment=None."
            )
        return mirrored(self._one_sided())

    def _one_sided(self) -> Backbone:
        from .backbones import find_image

        if not isinstance(self.model, str) or self.model.endswith(".pt2"):
            if self.image_size is not None or self.resize != "fast":
                raise ValueError(
                    "image_size and resize apply to networks given by name only. For a network of "
                    "your own, preprocessing determines how images are resized."
                )
            return find_image(self.model, weights=self.weights, preprocessing=self.preprocessing)
        if self.preprocessing is not None:
            raise ValueError(
                "preprocessing applies to a network of your own only; "
                f"{self.model!r} comes with the preprocessing that it was trained with."
            )
        return find_image(
            self.model, weights=self.weights, image_size=self.image_size, resize=self.resize
        )

    def _canary_item(self) -> Callable[[], Any]:
        from .pinned._canary import image

        return image

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = self.image_shape is not None
        tags.input_tags.three_d_array = self.image_shape is None
        tags.input_tags.string = self.image_shape is None
        return tags
