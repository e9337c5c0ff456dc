"""Every family of text encoders against transformers' own hidden states, pooled by hand.

    python -m tests.text_zoo            # the table

Tiny networks with random weights, each text alone in the reference and all together here.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from sklearn_pretrained import PretrainedTextFeaturizer
from sklearn_pretrained.running import eager

WORDS = [
    *("the", "cat", "sat", "on", "a", "mat", "and", "then", "it"),
    *("slept", "while", "rain", "fell", "softly", "over", "red", "roofs"),
]
TEXTS = [" ".join(WORDS[i % 9 : i % 9 + n]) for i, n in enumerate((1, 7, 3, 5, 2, 6, 4, 1))]
TOLERANCE = 1e-5

_SMALL = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 24,
}
_T5 = {"vocab_size": 40, "d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 3, "num_heads": 2}
_GPT2 = {"vocab_size": 40, "n_embd": 16, "n_layer": 3, "n_head": 2, "n_positions": 64}
_DECODER = {**_SMALL, "num_key_value_heads": 1, "head_dim": 8, "pad_token_id": 0}
_XLM = {
    "vocab_size": 40,
    "emb_dim": 16,
    "n_layers": 3,
    "n_heads": 2,
    **dict.fromkeys(("pad_index", "pad_token_id"), 0),
}
_BART = {
    "vocab_size": 40,
    "d_model": 16,
    **dict.fromkeys(("encoder_layers", "decoder_layers"), 3),
    **dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 2),
    **dict.fromkeys(("encoder_ffn_dim", "decoder_ffn_dim"), 24),
}
FAMILIES: dict[str, tuple[str, dict]] = {
    "BERT": ("BertConfig", _SMALL),
    "RoBERTa": ("RobertaConfig", {**_SMALL, "pad_token_id": 0}),
    "DistilBERT": (
        "DistilBertConfig",
        {"vocab_size": 40, "dim": 16, "n_layers": 3, "n_heads": 2, "hidden_dim": 24},
    ),
    "MPNet": ("MPNetConfig", {**_SMALL, "pad_token_id": 0}),
    "ALBERT": ("AlbertConfig", {**_SMALL, "embedding_size": 8}),
    "ELECTRA": ("ElectraConfig", {**_SMALL, "embedding_size": 8}),
    "DeBERTa-v2": (
        "DebertaV2Config",
        {
            **_SMALL,
            "relative_attention": True,
            "pos_att_type": ["p2c", "c2p"],
            "position_buckets": 8,
        },
    ),
    "XLM-R": ("XLMRobertaConfig", {**_SMALL, "pad_token_id": 0}),
    "CamemBERT": ("CamembertConfig", {**_SMALL, "pad_token_id": 0}),
    "ModernBERT": (
        "ModernBertConfig",
        {**_SMALL, "pad_token_id": 0, "cls_token_id": 1, "sep_token_id": 2, "bos_token_id": 1,
         "eos_token_id": 2, "local_attention": 4},
    ),
    "EuroBERT": (
        "EuroBertConfig",
        {**_SMALL, "num_key_value_heads": 1, "pad_token_id": 0, "mask_token_id": 3,
         "bos_token_id": 1, "eos_token_id": 2},
    ),
    "NomicBERT": ("NomicBertConfig", {**_SMALL, "pad_token_id": 0}),
    "GTE": ("GteConfig", {**_SMALL, "pad_token_id": 0}),
    "MobileBERT": (
        "MobileBertConfig",
        {**_SMALL, "embedding_size": 16, "intra_bottleneck_size": 16, "true_hidden_size": 16},
    ),
    "RemBERT": ("RemBertConfig", {**_SMALL, "input_embedding_size": 8}),
    "ConvBERT": ("ConvBertConfig", {**_SMALL, "embedding_size": 16, "conv_kernel_size": 3}),
    "Longformer": ("LongformerConfig", {**_SMALL, "pad_token_id": 0, "attention_window": 4}),
    "BigBird": ("BigBirdConfig", {**_SMALL, "pad_token_id": 0}),
    "T5": ("T5Config", _T5),
    "mT5": ("MT5Config", _T5),
    "GPT-2": ("GPT2Config", {**_GPT2, "bos_token_id": 1, "eos_token_id": 1}),
    "Llama": ("LlamaConfig", _DECODER),
    "XLM": ("XLMConfig", _XLM),
    "FlauBERT": ("FlaubertConfig", _XLM),
    "BART": ("BartConfig", _BART),
    "Mamba": ("MambaConfig", {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 3}),
    "Qwen2": ("Qwen2Config", _DECODER),
    "Qwen3": ("Qwen3Config", _DECODER),
}  # fmt: skip
_WITHOUT_CLASS = {"T5", "mT5", "GPT-2", "Llama", "Qwen2", "Qwen3"}


def make_folder(folder: Path, family: str) -> Path:
    """Save a tiny encoder of a family with a tokenizer of whole words."""
    kind, options = FAMILIES[family]
    config = getattr(transformers, kind)(**options)
    if family in {"GPT-2", "Llama", "Qwen2", "Qwen3"}:
        config.architectures = [f"{kind.removesuffix('Config')}ForCausalLM"]
    if family in {"T5", "mT5"}:
        network = getattr(transformers, kind.replace("Config", "EncoderModel"))(config)
    else:
        network = transformers.AutoModel.from_config(config)
    for parameter in network.parameters():  # as far apart as trained weights
        torch.nn.init.normal_(parameter, std=0.3)
    architectures = config.architectures
    network.save_pretrained(folder)
    if architectures:
        saved = transformers.AutoConfig.from_pretrained(folder)
        saved.architectures = architectures
        saved.save_pretrained(folder)
    if family.startswith("Qwen"):
        save_letters(folder)
    else:
        save_tokenizer(folder, has_class=family not in _WITHOUT_CLASS)
    return folder


def save_letters(folder: Path) -> None:
    """Save a tokenizer of single letters, as networks with byte-level tokenizers expect."""
    letters = ["[PAD]", "Ġ", *sorted({letter for word in WORDS for letter in word})]
    vocabulary = {letter: i for i, letter in enumerate(letters)}
    tokenizer = transformers.Qwen2Tokenizer(
        vocab=vocabulary, merges=[], pad_token="[PAD]", unk_token=None, model_max_length=48
    )
    tokenizer.save_pretrained(folder)


def save_tokenizer(folder: Path, *, has_class: bool, end: int = 2, length: int = 48) -> None:
    """Save a tokenizer that knows the words of this module."""
    special = ["[PAD]", "[CLS]", "[SEP]", "[UNK]"]
    vocabulary = {word: i for i, word in enumerate([*special, *WORDS])}
    vocabulary["[SEP]"] = end
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]"}
    if has_class:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]",
            pair="[CLS] $A [SEP] $B [SEP]",
            special_tokens=[("[CLS]", 1), ("[SEP]", end)],
        )
        names |= {"cls_token": "[CLS]", "sep_token": "[SEP]"}
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=length, **names
    )
    fast.save_pretrained(folder)


def by_hand(hidden: torch.Tensor, pooling: str) -> np.ndarray:
    """Pool the hidden state of one text without padding."""
    pools = {
        "mean": lambda h: h.mean(1),
        "max": lambda h: h.amax(1),
        "cls": lambda h: h[:, 0],
        "last": lambda h: h[:, -1],
    }
    return pools[pooling](hidden).numpy()


def reference(folder: Path, texts: list) -> list[tuple[torch.Tensor, ...]]:
    """Return transformers' hidden states of each text, alone."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    config = transformers.AutoConfig.from_pretrained(folder)
    kind = {"t5": "T5EncoderModel", "mt5": "MT5EncoderModel"}.get(config.model_type, "AutoModel")
    network = getattr(transformers, kind).from_pretrained(folder).eval()
    network = network.get_encoder() if config.is_encoder_decoder else network
    found = []
    with torch.no_grad():
        for text in texts:
            pair = text if isinstance(text, tuple) else (text,)
            inputs = tokenizer(*pair, return_tensors="pt", truncation=True, max_length=512)
            inputs = {k: v for k, v in inputs.items() if k != "attention_mask"}
            output = network(**inputs, output_hidden_states=True)
            found.append((*output.hidden_states[:-1], output.last_hidden_state))
    return found


def compare(folder: Path, family: str) -> list[tuple[int, str, float]]:
    """Return the error of every layer and pooling."""
    states = reference(folder, TEXTS)
    layers = [*range(len(states[0]))]
    ends = np.cumsum([state.shape[-1] for state in states[0]])[:-1]
    poolings = ["mean", "max", "last"] + ([] if family in _WITHOUT_CLASS else ["cls"])
    rows = []
    for pooling in poolings:
        ours = PretrainedTextFeaturizer(
            str(folder), layer=layers, pooling=pooling, device="cpu", cache=None, batch_size=3
        ).fit_transform(TEXTS)
        for layer, found in zip(layers, np.split(ours, ends, axis=1), strict=True):
            expected = np.vstack([by_hand(state[layer], pooling) for state in states])
            gap = np.linalg.norm(found - expected, axis=1) / np.linalg.norm(expected, axis=1)
            rows.append((layer, pooling, float(gap.max())))
    eager.unload()
    return rows


def main() -> int:
    """Print the table; the exit status counts the families that differ."""
    wrong = 0
    for family in FAMILIES:
        with tempfile.TemporaryDirectory() as place:
            rows = compare(make_folder(Path(place), family), family)
        worst = max(error for *_, error in rows)
        layers = len({layer for layer, *_ in rows})
        wrong += worst > TOLERANCE
        verdict = "equal" if worst <= TOLERANCE else "DIFFERS"
        print(
            f"{family:12} {layers} layers × {len(rows) // layers} poolings  {worst:.1e} {verdict}"
        )
    print(f"{len(FAMILIES) - wrong} of {len(FAMILIES)}")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
