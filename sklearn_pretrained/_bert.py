"""Texts → the class token of a BERT: the preset that users hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from ._sklearn import StrOptions
from ._text import MINILM, PretrainedTextFeaturizer
from .exceptions import LayerError

if TYPE_CHECKING:
    from .layers import Layer, Plan


class BertCLSFeaturizer(PretrainedTextFeaturizer):
    """Features of texts: the class token of a frozen BERT, or BERT's pooled output.

    A preset of `PretrainedTextFeaturizer` for the combination of BERT and logistic regression
    that most tutorials write by hand. It works with networks that put a class token in front of
    each text (BERT, RoBERTa, DistilBERT, MiniLM, MPNet, ELECTRA, DeBERTa, XLM-R, ModernBERT, …)
    and raises an error for others.

    Parameters
    ----------
    model : str, default="sentence-transformers/all-MiniLM-L6-v2"
        The network, as in `PretrainedTextFeaturizer`. The default is a BERT with six layers.

    weights : str or None, default="default"
        A revision on the hub. None means random weights, which are only useful in tests, and
        gives a warning.

    layer : str, int, float or list, default="penultimate"
        The layer to read. The default is the last hidden state.

    pooling : {"cls", "pooler", "none"}, default="cls"
        "cls" is the class token itself, "pooler" the output of BERT's pooler for the last layer.
        "none" returns the vectors of all tokens, one array (tokens, width) per text.

    max_length : int, default=None
        Maximum number of tokens per text. None uses the encoder's own setting. Raise it if long
        texts are cut and the network allows more; lower it to save time.

    truncation : {"warn", "cut", "error", "windows"}, default="warn"
        How to handle texts longer than ``max_length``: "warn" cuts them and warns once with
        their number, "cut" cuts them silently, "error" treats them as unreadable items (see
        ``on_error``). "windows" reads all of a long text in overlapping windows.

    stride : int, default=None
        Number of tokens that neighbouring windows share, as in transformers' tokenizers; only
        used with ``truncation="windows"``. None means a quarter of the text in a window.

    prompt : str, default=None
        Text to put in front of every text, or the name of one of the encoder's own prompts.

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
        Which layers are cached in addition to the requested ones. "auto" keeps the main stages
        while fitting and searching, and nothing more in an estimator loaded from a pickle. None
        stops the forward at the deepest requested layer.

    on_error : {"raise", "nan"}, default="raise"
        How to handle texts that cannot be read: "raise" raises an error, "nan" gives a row of
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

    See Also
    --------
    PretrainedTextFeaturizer : Features of texts with any encoder and any pooling.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_pretrained import BertCLSFeaturizer
    >>> texts = ["I loved it", "What a bore", "Wonderful!", "A waste of time"]
    >>> model = make_pipeline(BertCLSFeaturizer(), LogisticRegression()).fit(texts, [1, 0, 1, 0])
    >>> model.predict(["Great fun"]).tolist()
    [1]
    """

    __module__ = "sklearn_pretrained"  # files name the package alone

    _parameter_constraints = {
        **PretrainedTextFeaturizer._parameter_constraints,
        "pooling": [StrOptions({"cls", "pooler", "none"})],
    }

    def __init__(
        self,
        model: str = MINILM,
        *,
        weights: str | None = "default",
        layer: Any = "penultimate",
        pooling: Literal["cls", "pooler", "none"] = "cls",
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
        super().__init__(
            model,
            weights=weights,
            layer=layer,
            pooling=pooling,
            max_length=max_length,
            truncation=truncation,
            stride=stride,
            prompt=prompt,
            batch_size=batch_size,
            device=device,
            engine=engine,
            dtype=dtype,
            cache=cache,
            keep_layers=keep_layers,
            on_error=on_error,
            output=output,
            verbose=verbose,
        )

    def _outputs(self, plan: Plan, backbone: Any) -> list[tuple[Layer, str]]:
        if not backbone.first_token_is_class:
            raise LayerError(
                f"{plan.name} has no class token: its texts begin with a token like any other. "
                "Use PretrainedTextFeaturizer(pooling='mean'), or 'last' for a decoder."
            )
        return super()._outputs(plan, backbone)
