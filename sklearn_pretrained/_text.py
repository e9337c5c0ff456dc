"""Texts → features: the estimators that users hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ._featurizer import BaseFeaturizer
from ._outputs import PoolingNamed, outputs_of_texts
from ._sklearn import Interval, StrOptions
from .inputs._bad_items import warn_of_cut
from .road import Road, windows

if TYPE_CHECKING:
    from .backbones import Backbone
    from .inputs import Items
    from .layers import Layer, Plan

MINILM = "sentence-transformers/all-MiniLM-L6-v2"


class PretrainedTextFeaturizer(BaseFeaturizer):
    """Features of texts from a frozen pretrained text encoder.

    Each text is tokenised with the network's own tokenizer, passed through the network up to the
    chosen layer, and pooled over its tokens. Read more in the :ref:`User Guide <texts>`.

    Parameters
    ----------
    model : str, default="sentence-transformers/all-MiniLM-L6-v2"
        The network: a transformers text encoder, by its name on the hub or the path of a folder.
        Supported are BERT and related models, T5 encoders, decoders such as GPT-2, Llama and
        Qwen (read as encoders), and the text towers of CLIP, SigLIP and BLIP. The default works
        without a network connection if the extra ``offline`` is installed.

    weights : str or None, default="default"
        A revision on the hub. None means random weights, which are only useful in tests, and
        gives a warning.

    layer : str, int, float or list, default="penultimate"
        The layer to read. The default is the last hidden state. "projection" is the embedding
        that CLIP, SigLIP and BLIP share with images. An int is the index of a hidden state as in
        transformers: 0 is the embeddings and n the last layer; negative values count from the
        end. A float in (0, 1] is a relative depth. A string can name any submodule. The features
        of a list of layers (``[-4, -3, -2, -1]``) are concatenated.

    pooling : {"auto", "mean", "avg", "cls", "pooler", "max", "last", "none"}, default="auto"
        How the token vectors are reduced to one vector; padding is ignored. "auto" follows the
        encoder's own sentence-transformers settings, including normalisation; without such
        settings it is the mean, or the last token for decoders. "pooler" is BERT's pooled
        output. "avg" is an alias of "mean". "none" returns the vectors of all tokens, one array
        (tokens, width) per text.

    max_length : int, default=None
        Maximum number of tokens per text. None uses the encoder's own setting. Raise it if long
        texts are cut and the network allows more; lower it to save time.

    truncation : {"warn", "cut", "error", "windows"}, default="warn"
        How to handle texts longer than ``max_length``: "warn" cuts them and warns once with
        their number, "cut" cuts them silently, "error" treats them as unreadable items (see
        ``on_error``). "windows" reads all of a long text in overlapping windows (see Notes).

    stride : int, default=None
        Number of tokens that neighbouring windows share, as in transformers' tokenizers; only
        used with ``truncation="windows"``. None means a quarter of the text in a window.

    prompt : str, default=None
        Text to put in front of every text, or the name of one of the encoder's own prompts. None
        uses the encoder's default, which for most encoders is no prompt.

    batch_size : int or "auto", default="auto"
        Maximum number of texts per forward pass. It affects speed and memory, never the features.

    device : str, torch.device or list of them, default="auto"
        Where the network runs: "cpu", "cuda", "cuda:1" or "mps". "auto" selects the best
        available device. With a list, such as ``["cuda:0", "cuda:1"]``, the devices take batches
        in turn.

    engine : {"torch", "openvino", "auto"}, default="torch"
        What computes the network on a CPU in float32. Texts have many lengths, for which the
        graphs of OpenVINO are not proven, so torch computes them, whatever is asked for.

    dtype : {"float32", "bfloat16", "float16", "auto"}, default="float32"
        Precision of the network. Lower precisions are faster, and features differ by a few
        percent. "auto" uses bfloat16 if the device supports it and float32 otherwise; the choice
        is made in `fit`.

    cache : "memory", path, FeatureCache or None, default="memory"
        Where computed features are kept, so that a text goes through the network only once in a
        whole search. "memory" is shared by all featurizers of a process. A path or a
        `FeatureCache` is a file for all processes and runs of a machine. A folder
        (``"features/"``), an address (``"s3://bucket/features"``) or a `SharedFeatureCache` is
        shared by machines. None disables caching.

    keep_layers : {"auto", "main"}, list or None, default="auto"
        Which layers are cached in addition to the requested ones, so that a search over layers
        runs the network once. "auto" keeps all hidden states while fitting and searching, and
        nothing more in an estimator loaded from a pickle. None stops the forward at the deepest
        requested layer.

    on_error : {"raise", "nan"}, default="raise"
        How to handle texts that cannot be read (None, NaN, lone surrogates): "raise" raises an
        error, "nan" gives a row of NaN and a warning.

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
        The pooling in use, followed by the steps after it, such as "mean+dense64+unit" ("unit"
        L2-normalises each row).

    n_features_out_ : int
        Number of features.

    bad_items_ : dict of int to str
        Positions of the items that the last `transform` could not read, with the reason.

    counts_ : object
        Number of rows since `fit` that were ``asked`` for, ``known`` from the cache,
        ``computed``, and ``bad``.

    See Also
    --------
    BertCLSFeaturizer : Preset that reads the class token.
    PretrainedImageFeaturizer : Features of images.
    list_layers : List the layers of a network with their widths and costs.

    Notes
    -----
    Special tokens in a text are plain text: "[CLS]" is not the class token. Empty texts are valid.

    With ``truncation="windows"``, each window has its special tokens and the prompt. "mean" and
    "max" count each token once, in the window whose edges are farthest from it, and the special
    tokens and prompt of the first window's beginning and the last one's end. "cls", "last",
    "pooler" and layers of one vector are the mean over windows. Pairs are not cut into windows.

    Examples
    --------
    >>> from sklearn_pretrained import PretrainedTextFeaturizer
    >>> texts = ["The cat sat on the mat.", "Stocks fell sharply."]
    >>> PretrainedTextFeaturizer().fit_transform(texts).shape
    (2, 384)
    """

    __module__ = "sklearn_pretrained"  # files name the package alone

    _parameter_constraints = {
        **BaseFeaturizer._parameter_constraints,
        "model": [str],
        "weights": [str, None],
        "pooling": [PoolingNamed("texts", "auto", "none", "pooler")],
        "max_length": [Interval(Integral, 1, None, closed="left"), None],
        "truncation": [StrOptions({"warn", "cut", "error", "windows"})],
        "stride": [Interval(Integral, 0, None, closed="left"), None],
        "prompt": [str, None],
    }

    def __init__(
        self,
        model: str = MINILM,
        *,
        weights: str | None = "default",
        layer: Any = "penultimate",
        pooling: Literal["auto", "mean", "avg", "cls", "pooler", "max", "last", "none"] = "auto",
        max_length: int | None = None,
        truncation: str = "warn",
        stride: int | None = None,
        prompt: str | None = None,
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
        self.max_length = max_length
        self.truncation = truncation
        self.stride = stride
        self.prompt = prompt
        self.batch_size = batch_size
        self.device = device
        self.engine = engine
        self.dtype = dtype
        self.cache = cache
        self.keep_layers = keep_layers
        self.on_error = on_error
        self.output = output
        self.verbose = verbose

    def _read(self, X: Any, *, reset: bool) -> Items:  # noqa: ARG002
        from .inputs import read_texts

        return read_texts(X)

    def _backbone(self) -> Backbone:
        from .backbones import find_text

        return find_text(
            self.model,
            weights=self.weights,
            max_length=self.max_length,
            truncation=self.truncation,
            stride=self.stride,
            prompt=self.prompt,
        )

    def _canary_item(self) -> Callable[[], Any]:
        from .pinned._canary import text

        return text

    def _outputs(self, plan: Plan, backbone: Any) -> list[tuple[Layer, str]]:
        return outputs_of_texts(plan, self.layer, self.pooling, backbone)

    def _handed_over(self, rows: NDArray[Any]) -> Any:
        if self.output == "torch" and rows.dtype == object:
            raise ValueError(
                "output='torch' makes one tensor, and pooling='none' gives each text an array of "
                "its own length. Choose another pooling, or output='numpy'."
            )
        return super()._handed_over(rows)

    def _rows(self, items: Items, road: Road, on_batch: Any = None) -> NDArray[Any]:
        if self.pooling != "none" and road.detour is None:
            return super()._rows(items, road, on_batch)
        from .road import by_length

        found = np.empty(len(items), dtype=object)
        bad: dict[int, str] = {}
        for positions, some, way in by_length(items, road):
            for i, row in zip(positions, super()._rows(some, way, on_batch), strict=True):
                found[i] = row
            bad |= {positions[k]: why for k, why in self.bad_items_.items()}
        self.bad_items_ = dict(sorted(bad.items()))
        return found if self.pooling == "none" else np.stack(list(found))

    def _streamed(self, items: Items, road: Road) -> Iterator[tuple[range, NDArray[Any]]]:
        if self.pooling != "none":
            yield from super()._streamed(items, road)
            return
        from .inputs import Some

        bad: dict[int, str] = {}
        for window in windows(items, self.batch_size):
            rows = self._rows(Some(items, list(window)), road)
            bad |= {window[k]: why for k, why in self.bad_items_.items()}
            self.bad_items_ = dict(bad)
            yield window, rows

    def _count_cut(self, readable: Iterable[tuple[bytes, Any]], backbone: Any) -> int:
        if self.truncation != "warn" or "cut" in self._told:
            return 0
        # Of rows that were known, nobody has looked at the texts.
        return backbone.count_cut(readable)

    def _warn_of_cut(self, n: int, backbone: Any) -> None:
        if n and "cut" not in self._told:
            self._told.add("cut")
            warn_of_cut(n, backbone.max_length)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        return tags
