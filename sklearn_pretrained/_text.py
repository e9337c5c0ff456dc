"""Texts → features: the estimators that users hold."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._featurizer import BaseFeaturizer
from ._outputs import PoolingNamed
from ._sklearn import Interval, StrOptions
from ._warn import warn
from .exceptions import LayerError, TruncationWarning
from .inputs._bad_items import BadItems

if TYPE_CHECKING:
    from ._road import Road
    from .backbones import Backbone
    from .inputs import Items
    from .layers import Layer, Plan

MINILM = "sentence-transformers/all-MiniLM-L6-v2"


class PretrainedTextFeaturizer(BaseFeaturizer):
    """Features of texts from a frozen pretrained text encoder.

    Each text is tokenised as the network's own tokenizer does, sent through the network up to the
    chosen layer, and pooled over its tokens. Read more in the :ref:`User Guide <texts>`.

    Parameters
    ----------
    model : str, default="sentence-transformers/all-MiniLM-L6-v2"
        A text encoder of transformers, by its name on the hub or the path of a folder: BERT and
        its kin, T5's encoders, decoders such as GPT-2, Llama and Qwen, read as encoders, and the
        text towers of CLIP, SigLIP and BLIP. The default is found without a network connection
        where the extra ``offline`` is installed.

    weights : str or None, default="default"
        A revision on the hub. None means random weights, which are only of use in tests, and warns.

    layer : str, int, float or list, default="penultimate"
        Where to read. The default is the network's last hidden state. "projection" is the space
        that CLIP, SigLIP and BLIP share with images. An int counts hidden states as transformers
        does, 0 being the embeddings and n the last, from the end where it is negative; a float in
        (0, 1] is a relative depth; a name is that of any submodule. A list reads several, side by
        side (``[-4, -3, -2, -1]``).

    pooling : {"auto", "mean", "avg", "cls", "pooler", "max", "last", "none"}, default="auto"
        How tokens become a vector; padding never counts. "auto" is what the encoder's own
        sentence-transformers settings say, normalisation included; without such settings the
        mean, and for decoders the last token. "pooler" is BERT's pooled output; "avg" is
        "mean". "none" returns an array of arrays (tokens, width), one for each text.

    max_length : int, default=None
        Tokens that are read of each text. None is the encoder's own setting.

    truncation : {"warn", "cut", "error"}, default="warn"
        What becomes of longer texts: "warn" cuts them and says once how many, "cut" says nothing,
        "error" makes each of them a text that cannot be read.

    prompt : str, default=None
        Put before every text: the name of one of the encoder's own prompts, or a text. None is
        the encoder's default, mostly nothing.

    batch_size : int or "auto", default="auto"
        Most texts in one forward. It decides speed and memory, and never the features.

    device : str, torch.device or list of them, default="auto"
        "cpu", "cuda", "cuda:1", "mps"; "auto" takes the best one that is there. Several, such as
        ``["cuda:0", "cuda:1"]``, take batches in turn.

    dtype : {"float32", "bfloat16", "float16", "auto"}, default="float32"
        Precision of the network. Lower ones are faster and move features by some percent. "auto"
        is bfloat16 where the device computes in it, and else float32; `fit` decides it.

    cache : "memory", path, FeatureCache or None, default="memory"
        Where known rows are kept, so that a text is sent through the network once for a whole
        search. "memory" is shared by all featurizers of a process. A path, or a `FeatureCache`,
        is a file that processes, runs and machines share. None keeps nothing.

    keep_layers : {"auto", "main"}, list or None, default="auto"
        Which layers a forward keeps in the cache besides those asked for. "auto" keeps all hidden
        states while fitting and searching, and none in an estimator loaded from a pickle.

    on_error : {"raise", "nan"}, default="raise"
        Whether a text that cannot be read (None, NaN, half characters) is an error, or a row of
        NaN.

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
        The pooling that is used, with what comes behind it, such as "mean+dense64+unit" ("unit"
        brings rows to length 1).

    n_features_out_ : int
        Number of columns.

    bad_items_ : dict of int to str
        Which items of the last transform could not be read, and why.

    counts_ : object
        Rows ``asked`` for, ``known`` already, ``computed``, and ``bad``, since fit.

    See Also
    --------
    BertCLSFeaturizer : Reads the class token.
    PretrainedImageFeaturizer : The same for images.
    list_layers : The layers of a network, their widths and costs.

    Notes
    -----
    What a text holds is text: "[CLS]" in it is not the special token. An empty text is a text.

    Examples
    --------
    >>> from sklearn_pretrained import PretrainedTextFeaturizer
    >>> texts = ["The cat sat on the mat.", "Stocks fell sharply."]
    >>> PretrainedTextFeaturizer().fit_transform(texts).shape
    (2, 384)
    """

    _parameter_constraints = {
        **BaseFeaturizer._parameter_constraints,
        "model": [str],
        "weights": [str, None],
        "pooling": [PoolingNamed("texts", "auto", "none", "pooler")],
        "max_length": [Interval(Integral, 1, None, closed="left"), None],
        "truncation": [StrOptions({"warn", "cut", "error"})],
        "prompt": [str, None],
    }

    def __init__(
        self,
        model: str = MINILM,
        *,
        weights: str | None = "default",
        layer: Any = "penultimate",
        pooling: str = "auto",
        max_length: int | None = None,
        truncation: str = "warn",
        prompt: str | None = None,
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
        self.max_length = max_length
        self.truncation = truncation
        self.prompt = prompt
        self.batch_size = batch_size
        self.device = device
        self.dtype = dtype
        self.cache = cache
        self.keep_layers = keep_layers
        self.on_error = on_error
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
            prompt=self.prompt,
        )

    def _canary_item(self) -> Any:
        from .pinned._canary import TEXT

        return TEXT

    def _outputs(self, plan: Plan, backbone: Any) -> list[tuple[Layer, str]]:
        from ._pooling import parsed

        layers = plan.resolve(self.layer)
        if self.pooling == "pooler":
            return [(self._pooler(plan, layers), "flatten")]
        if self.pooling != "auto":
            named = "mean" if self.pooling == "avg" else self.pooling
            return [(layer, layer.pooling(named)) for layer in layers]
        vectors = {layer for layer in layers if len(layer.shape) == 1}
        # Other vectors than the default one are asked for by name, and pooled by nothing.
        is_default = self.layer == "penultimate"
        pooling = backbone.pooling if is_default or len(vectors) < len(layers) else "auto"
        is_last = {layer.name for layer in layers} <= {plan.stages[-1], "penultimate"}
        if parsed(pooling).has_weights and not is_last:
            raise LayerError(
                f"pooling='auto' of {plan.name} is {pooling!r}, and was trained on the last hidden "
                f"state; got layer={self.layer!r}. Use pooling='mean' for other layers."
            )
        return [(layer, layer.pooling("auto" if layer in vectors else pooling)) for layer in layers]

    def _pooler(self, plan: Plan, layers: tuple[Layer, ...]) -> Layer:
        if {layer.name for layer in layers} - {plan.stages[-1], "penultimate"}:
            raise LayerError(
                "pooling='pooler' reads the last hidden state, on which the pooler was trained; "
                f"got layer={self.layer!r}. Use pooling='cls' for other layers."
            )
        if "pooler" not in plan.layers:
            raise LayerError(f"{plan.name} has no pooler; use pooling='cls' or 'mean'.")
        return plan.layers["pooler"]

    def _rows(self, items: Items, road: Road, on_batch: Any = None) -> NDArray[Any]:
        if self.pooling != "none":
            return super()._rows(items, road, on_batch)
        from ._lengths import by_length

        found = np.empty(len(items), dtype=object)
        bad: dict[int, str] = {}
        for positions, some, way in by_length(items, road):
            for i, row in zip(positions, super()._rows(some, way, on_batch), strict=True):
                found[i] = row
            bad |= {positions[k]: why for k, why in self.bad_items_.items()}
        self.bad_items_ = dict(sorted(bad.items()))
        return found

    def _report(self, bad: BadItems, backbone: Any) -> None:
        super()._report(bad, backbone)
        if self.truncation != "warn" or "cut" in self._told:
            return
        # Of rows that were known, nobody has looked at the texts.
        n = backbone.count_cut(bad.readable())
        if n:
            self._told.add("cut")
            warn(
                f"{n} texts were longer than {backbone.max_length} tokens and were cut. Pass a "
                "larger max_length where the network allows it, or truncation='cut' to silence "
                "this warning.",
                TruncationWarning,
            )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        return tags
