"""Images → features: the estimator that users hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._featurizer import BaseFeaturizer
from ._sklearn import Interval, StrOptions, validate_rows

if TYPE_CHECKING:
    from .backbones import Backbone
    from .inputs import Items


class PretrainedImageFeaturizer(BaseFeaturizer):
    """Features of images from a frozen pretrained network.

    Each image is prepared exactly as the network's training did, sent through the network up to
    the chosen layer, and pooled to a vector. The network never changes. Read more in the
    :ref:`User Guide <images>`.

    Parameters
    ----------
    model : str, callable, nn.Module or ModuleHandle, default="mobilenet_v2"
        Any of torchvision's classifiers by name, ``"timm/…"`` for one of timm's, or the name of a
        registered source (`list_backbones` lists them all); a network of transformers by its name
        on the hub or the path of a folder (``"facebook/dinov2-small"``), of which only what reads
        images is loaded; or a network of your own, which then needs ``preprocessing``: a module,
        a function that makes one, or a program of ``torch.export``. The default's weights are
        part of this package, so that it works without a network connection.

    weights : str, path, WeightsEnum or None, default="default"
        Which weights: those that torchvision names (``"IMAGENET1K_V2"``, or the member of its
        enumeration), or the path of a state dict. "default" takes the weights shipped with this
        package where there are any (mobilenet_v2's ``IMAGENET1K_V1``), else torchvision's own
        default. For a network of transformers, a revision on the hub. None means random weights,
        which are only of use in tests, and warns.

    layer : str, int, float or list, default="penultimate"
        Where to read. "penultimate" is what the network's classifier reads, "output" what the
        network returns, "projection" the features in the space that CLIP, SigLIP and BLIP share
        with texts. A name is that of any submodule (`list_layers` shows them); an int counts
        the main stages, from the end where it is negative; a float in (0, 1] is a relative depth,
        so that a grid carries over to another network. A list reads several, side by side.

    pooling : {"auto", "avg", "mean", "max", "gem", "cls", "flatten", "none"}, default="auto"
        How an activation becomes a vector: mean or maximum or generalised mean over positions,
        the class token, all values, or nothing, which returns arrays of 3 or 4 dimensions.
        "auto" is the class token where there is one, and else the mean; "mean" is "avg".

    image_size : int, default=None
        Length of the square that the network reads. None is the size it was trained on. Larger
        images cost more and may show finer detail; networks with fixed positions refuse others.

    image_shape : tuple, default=None
        Shape of the images where X is a table with one flattened image a row: (height, width),
        (height, width, channels) or (channels, height, width).

    value_range : tuple of (low, high), default=None
        What black and white are in numeric images. None goes by the dtype: 0 to 255 for uint8,
        0 to 65535 for uint16, 0 to 1 for floats and bools. Values outside are an error.

    resize : {"fast", "exact"}, default="fast"
        How images are resized: as torchvision resizes tensors, or, more slowly, as it resizes PIL
        images, to the bit. Features differ by about 0.2%.

    preprocessing : callable, default=None
        For a network of your own: turns a PIL image into a tensor (C, H, W), such as
        torchvision's transforms, ``ResNet50_Weights.DEFAULT.transforms()`` among them.

    augment : {"flip"}, default=None
        "flip" averages the features of each image and its mirror image, while fitting and
        predicting. That costs two forwards for each image; whether it helps, a search tells.

    batch_size : int or "auto", default="auto"
        Images in one forward. It decides speed and memory, and never the features.

    device : str, torch.device or list of them, default="auto"
        "cpu", "cuda", "cuda:1", "mps"; "auto" takes the best one that is there. Several, such as
        ``["cuda:0", "cuda:1"]``, take batches in turn.

    dtype : {"float32", "bfloat16", "float16", "auto"}, default="float32"
        Precision of the network. Lower ones are faster and move features by some percent. "auto"
        is bfloat16 where the device computes in it, and else float32; `fit` decides it.

    cache : "memory", path, FeatureCache or None, default="memory"
        Where known rows are kept, so that an image is sent through the network once for a whole
        search. "memory" is shared by all featurizers of a process. A path, or a `FeatureCache`,
        is a file that processes, runs and machines share. None keeps nothing.

    keep_layers : {"auto", "main"}, list or None, default="auto"
        Which layers a forward keeps in the cache besides those asked for. "auto" keeps the main
        stages while fitting and searching, and none in an estimator that was loaded from a
        pickle, which stops early. A list names layers; None always stops at the deepest asked.

    on_error : {"raise", "nan"}, default="raise"
        Whether an image that cannot be read is an error, or a row of NaN.

    verbose : bool, default=False
        Whether to show a progress bar.

    Attributes
    ----------
    model_ : str
        Source and name of the network.

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
        Which items of the last transform could not be read, and why.

    counts_ : object
        Rows ``asked`` for, ``known`` already, ``computed``, and ``bad``, since fit.

    n_features_in_ : int
        Number of columns of X. Only with ``image_shape``.

    See Also
    --------
    PretrainedTextFeaturizer : The same for texts.
    ModuleFeaturizer : Any network over numeric rows.
    list_layers : The layers of a network, their widths and costs.

    Notes
    -----
    A row depends on the image and the parameters alone: other images, their order and the batch
    size change it by no more than 1e-5 of its norm. Transparent pixels are shown on white, EXIF
    orientation is applied, and only the first frame of an animation is read.

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
        pooling: str = "auto",
        image_size: int | None = None,
        image_shape: tuple[int, ...] | None = None,
        value_range: tuple[float, float] | None = None,
        resize: str = "fast",
        preprocessing: Callable[[Any], Any] | None = None,
        augment: str | None = None,
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
        self.image_size = image_size
        self.image_shape = image_shape
        self.value_range = value_range
        self.resize = resize
        self.preprocessing = preprocessing
        self.augment = augment
        self.batch_size = batch_size
        self.device = device
        self.dtype = dtype
        self.cache = cache
        self.keep_layers = keep_layers
        self.on_error = on_error
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
                "augment='flip' averages vectors, and pooling='none' keeps maps, whose positions "
                "the mirror image has elsewhere. Choose another pooling, or augment=None."
            )
        return mirrored(self._one_sided())

    def _one_sided(self) -> Backbone:
        from .backbones import find_image

        if not isinstance(self.model, str) or self.model.endswith(".pt2"):
            if self.image_size is not None or self.resize != "fast":
                raise ValueError(
                    "image_size= and resize= go with networks that are named; for a network of "
                    "your own, preprocessing= decides how images are resized."
                )
            return find_image(self.model, weights=self.weights, preprocessing=self.preprocessing)
        if self.preprocessing is not None:
            raise ValueError(
                "preprocessing= goes with a network of your own; "
                f"{self.model!r} comes with the preprocessing that it was trained on."
            )
        return find_image(
            self.model, weights=self.weights, image_size=self.image_size, resize=self.resize
        )

    def _canary_item(self) -> Any:
        from .pinned._canary import picture

        return picture()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = self.image_shape is not None
        tags.input_tags.three_d_array = self.image_shape is None
        tags.input_tags.string = self.image_shape is None
        return tags
