"""Folders of sentence-transformers, made by its own ``save``: every module, tiny random encoders.

`python -m tests.sentence_zoo` prints the table: equal to ``encode``, or refused and why.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import transformers
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import modules as st
from sentence_transformers.sentence_transformer.modules.tokenizer import WhitespaceTokenizer

from sklearn_pretrained import PretrainedTextFeaturizer
from sklearn_pretrained.exceptions import LayerError, WeightsError
from sklearn_pretrained.running import eager
from tests import text_zoo

TEXTS = [*text_zoo.TEXTS, "The CAT sat"]
TOLERANCE = 1e-5
_PROMPT = {"prompts": {"query": "then it "}, "default_prompt_name": "query"}
_MODES = st.Pooling.POOLING_MODES


def whole(*behind: torch.nn.Module, family: str = "BERT", **options) -> Callable:
    """Return what makes a model: an encoder, and modules behind it."""
    body = {key: options.pop(key) for key in ("max_seq_length", "do_lower_case") if key in options}

    def make(place: Path) -> SentenceTransformer:
        encoder = st.Transformer(str(text_zoo.make_folder(place, family)), **body)
        return SentenceTransformer(modules=[encoder, *behind], device="cpu", **options)

    return make


def behind(*more: torch.nn.Module, pooling: str | tuple = "mean", **options) -> Callable:
    """Return what makes a model: an encoder, a pooling, and more modules."""
    return whole(st.Pooling(16, pooling), *more, **options)


def _static(place: Path) -> SentenceTransformer:
    text_zoo.save_tokenizer(place, has_class=True)
    tokenizer = transformers.AutoTokenizer.from_pretrained(place)
    return SentenceTransformer(modules=[st.StaticEmbedding(tokenizer, embedding_dim=8)])


def _words(*behind: torch.nn.Module) -> Callable:
    def make(place: Path) -> SentenceTransformer:
        table = st.WordEmbeddings(WhitespaceTokenizer(text_zoo.WORDS), np.eye(len(text_zoo.WORDS)))
        return SentenceTransformer(modules=[table, *behind])

    return make


def _router(place: Path) -> SentenceTransformer:
    encoder = st.Transformer(str(text_zoo.make_folder(place, "BERT")))
    ways = st.Router.for_query_document([st.Dense(16, 4)], [st.Dense(16, 4)])
    return SentenceTransformer(modules=[encoder, st.Pooling(16), ways])


torch.manual_seed(0)
EQUAL: dict[str, Callable[[Path], SentenceTransformer]] = {
    **{f"pooling {mode}": behind(pooling=mode) for mode in _MODES},
    **{
        f"pooling {mode} without the prompt": whole(
            st.Pooling(16, mode, include_prompt=False), **_PROMPT
        )
        for mode in _MODES
    },
    "a prompt left out of the pooling of texts without a last token": whole(
        st.Pooling(16, ("weightedmean", "mean"), include_prompt=False), family="GPT-2", **_PROMPT
    ),
    "every pooling side by side": behind(pooling=_MODES),
    "several poolings in another order": behind(pooling=("mean", "cls")),
    "dense": behind(st.Dense(16, 4)),
    "dense without activation or bias": behind(
        st.Dense(16, 20, bias=False, activation_function=torch.nn.Identity())
    ),
    "dense with what it was given": behind(st.Dense(16, 16, use_residual=True)),
    "dense with what it was given, made narrower": behind(st.Dense(16, 4, use_residual=True)),
    "dense behind two poolings": behind(st.Dense(32, 4), pooling=("cls", "max")),
    "layer norm": behind(st.LayerNorm(16)),
    "unit length": behind(st.Normalize()),
    "dropout": behind(st.Dropout(0.5)),
    "a long chain": behind(
        st.Dropout(0.1), st.Dense(16, 12, activation_function=torch.nn.GELU()), st.LayerNorm(12),
        st.Normalize(), st.Dense(12, 8), truncate_dim=5,
    ),
    "the first columns": behind(truncate_dim=8),
    "more columns than there are": behind(truncate_dim=99),
    "the first columns of unit length": behind(st.Normalize(), truncate_dim=8),
    "a prompt": behind(**_PROMPT),
    "an empty default prompt": behind(prompts={"q": ""}, default_prompt_name="q"),
    "a short length": behind(max_seq_length=4),
    "a length above the tokenizer's": behind(max_seq_length=64),
    "lower case": behind(do_lower_case=True),
    "a class token where texts have none": behind(pooling="cls", family="T5"),
    **{
        f"{family} {mode}": behind(pooling=mode, family=family)
        for family in ("RoBERTa", "MPNet", "ModernBERT", "T5", "GPT-2", "Qwen3")
        for mode in ("mean", "lasttoken")
    },
}  # fmt: skip
"""Models whose folders are read, and must then be equal to ``encode``."""

REFUSED: dict[str, tuple[Callable[[Path], SentenceTransformer], str]] = {
    "static embedding": (_static, "StaticEmbedding': it has no transformer"),
    "word embeddings": (_words(st.Pooling(17)), "WordEmbeddings': it has no transformer"),
    "bag of words": (
        lambda place: SentenceTransformer(modules=[st.BoW(text_zoo.WORDS)]),
        "BoW': it has no transformer",
    ),
    "word weights": (
        whole(st.WordWeights(["a"] * 40, {"a": 0.5}), st.Pooling(16)),
        "WordWeights': it works on tokens",
    ),
    "convolutions": (whole(st.CNN(16, 4, [1]), st.Pooling(4)), "CNN': it works on tokens"),
    "recurrence": (whole(st.LSTM(16, 4), st.Pooling(8)), "LSTM': it works on tokens"),
    "weighted layers": (
        whole(st.WeightedLayerPooling(16, 3, 1), st.Pooling(16)),
        "WeightedLayerPooling': it combines hidden states",
    ),
    "ways": (_router, "Router': it processes queries"),
    "no pooling": (whole(), r"lists Transformer; supported are"),
    "a dense layer over tokens": (
        whole(st.Dense(16, 16, module_input_name="token_embeddings"), st.Pooling(16)),
        "Transformer → Dense → Pooling",
    ),
    "two poolings": (behind(st.Pooling(16, "max")), "Transformer → Pooling → Pooling"),
    "unit tokens": (
        behind(st.Normalize("token_embeddings")),
        r"2_Normalize/config\.json has module_input_name='token_embeddings'",
    ),
    "an activation of one's own": (
        behind(st.Dense(16, 4, activation_function=torch.nn.Softmax2d())),
        r"2_Dense/config\.json has activation_function='torch.*Softmax2d'",
    ),
}  # fmt: skip
"""Models whose folders are refused, and what the error says."""


def save(make: Callable[[Path], SentenceTransformer], place: Path) -> Path:
    """Let sentence-transformers write the folder of a model."""
    torch.manual_seed(0)
    model = make(place / "encoder")
    folder = place / "saved"
    model.save(str(folder), create_model_card=False)
    return folder


def encode(folder: Path, texts: list, **options) -> np.ndarray:
    """Return the rows of sentence-transformers, each text alone."""
    return SentenceTransformer(str(folder), device="cpu").encode(texts, batch_size=1, **options)


def featurizer(folder: Path, **options) -> PretrainedTextFeaturizer:
    """Return ours, as it reads a folder."""
    options = {"cache": None, "device": "cpu", "truncation": "cut", **options}
    return PretrainedTextFeaturizer(str(folder), **options)


def main() -> int:
    """Print the table; the exit status counts what is neither equal nor refused."""
    wrong = 0
    cases = {**EQUAL, **{name: make for name, (make, _) in REFUSED.items()}}
    for name, make in cases.items():
        with tempfile.TemporaryDirectory() as place, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            folder = save(make, Path(place))
            try:
                ours = featurizer(folder, batch_size=3).fit_transform(TEXTS)
            except (LayerError, WeightsError) as error:
                wrong += name in EQUAL
                print(f"{name:60} refused: {str(error).replace(place, '…')}")
                continue
            expected = encode(folder, TEXTS)
        gap = np.linalg.norm(ours - expected, axis=1) / np.linalg.norm(expected, axis=1)
        wrong += name in REFUSED or bool(gap.max() > TOLERANCE)
        print(f"{name:60} {gap.max():.1e}")
        eager.unload()
    print(f"{len(cases) - wrong} of {len(cases)}")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
