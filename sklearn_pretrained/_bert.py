"""Texts → the class token of a BERT: the preset that users hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ._sklearn import StrOptions
from ._text import MINILM, PretrainedTextFeaturizer
from .exceptions import LayerError

if TYPE_CHECKING:
    from .layers import Layer, Plan


class BertCLSFeaturizer(PretrainedTextFeaturizer):
    """Features of texts: the class token of a frozen BERT, or BERT's pooled output.

    The preset of `PretrainedTextFeaturizer` that most tutorials on BERT and logistic regression
    write by hand. It works for networks whose texts begin with a class token (BERT, RoBERTa,
    DistilBERT, MiniLM, MPNet, ELECTRA, DeBERTa, XLM-R, ModernBERT, …) and refuses others.

    Parameters
    ----------
    model : str, default="sentence-transformers/all-MiniLM-L6-v2"
        As in `PretrainedTextFeaturizer`; the default is a BERT of six layers.

    weights : str or None, default="default"
        A revision on the hub. None means random weights.

    layer : str, int, float or list, default="penultimate"
        Where to read; the default is the last hidden state.

    pooling : {"cls", "pooler", "none"}, default="cls"
        The class token itself, or what BERT's pooler makes of the last one; "none" returns the
        rows of all tokens, one array (tokens, width) for each text.

    max_length : int, default=None
        Tokens that are read of each text. None is the encoder's own setting.

    truncation : {"warn", "cut", "error"}, default="warn"
        What becomes of longer texts.

    prompt : str, default=None
        Put before every text.

    batch_size : int or "auto", default="auto"
        Most texts in one forward.

    device : str, torch.device or list of them, default="auto"
        "cpu", "cuda", "cuda:1", "mps"; "auto" takes the best one that is there. Several, such as
        ``["cuda:0", "cuda:1"]``, take batches in turn.

    dtype : {"float32", "bfloat16", "float16", "auto"}, default="float32"
        Precision of the network. "auto" is bfloat16 where the device computes in it, and else
        float32; `fit` decides it.

    cache : "memory", path, FeatureCache or None, default="memory"
        Where known rows are kept, so that a text is sent through the network once for a whole
        search. "memory" is shared by all featurizers of a process. A path, or a `FeatureCache`,
        is a file that processes, runs and machines share. None keeps nothing.

    keep_layers : {"auto", "main"}, list or None, default="auto"
        Which layers a forward keeps in the cache besides those asked for.

    on_error : {"raise", "nan"}, default="raise"
        Whether a text that cannot be read is an error, or a row of NaN.

    verbose : bool, default=False
        Whether to show a progress bar.

    Attributes
    ----------
    model_ : str
        Source and name of the network.

    weights_digest_ : str
        SHA-256 of the weights.

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

    See Also
    --------
    PretrainedTextFeaturizer : Any pooling, any text encoder.

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
        pooling: str = "cls",
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
        super().__init__(
            model,
            weights=weights,
            layer=layer,
            pooling=pooling,
            max_length=max_length,
            truncation=truncation,
            prompt=prompt,
            batch_size=batch_size,
            device=device,
            dtype=dtype,
            cache=cache,
            keep_layers=keep_layers,
            on_error=on_error,
            verbose=verbose,
        )

    def _outputs(self, plan: Plan, backbone: Any) -> list[tuple[Layer, str]]:
        if not backbone.first_token_is_class:
            raise LayerError(
                f"{plan.name} has no class token: its texts begin with a token like any other. "
                "Use PretrainedTextFeaturizer(pooling='mean'), or 'last' for a decoder."
            )
        return super()._outputs(plan, backbone)
