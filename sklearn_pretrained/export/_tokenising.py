"""A tokenizer.json → an ONNX graph from strings to tokens, by onnxruntime-extensions.

Tokens may be given as well, in place of strings: so `exported.load` uses the tokenizer itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from ..process import need
from ._torch import EXTRA, PURPOSE

TEXT = "text"
DOMAIN = "ai.onnx.contrib"
Facts = dict[str, Any]


def operators(tokenizer: str) -> Iterator[tuple[str, Facts]]:
    """Yield operators that may do what a tokenizer does, each with its attributes."""
    told = json.loads(tokenizer)
    model = told["model"]
    if model["type"] == "WordPiece":
        how = _normalizer(told)
        lower = bool(how.get("lowercase", how.get("do_lower_case", False)))
        strips = how.get("strip_accents")
        yield (
            "BertTokenizer",
            {
                "vocab_file": "\n".join(sorted(model["vocab"], key=model["vocab"].get)),
                "do_lower_case": int(lower),
                "strip_accents": int(lower if strips is None else strips),
                "tokenize_chinese_chars": int(how.get("handle_chinese_chars", True)),
                "suffix_indicator": model["continuing_subword_prefix"],
                "unk_token": model["unk_token"],
            },
        )
    for name in _CLASSES.get(model["type"], ()):
        config = {"tokenizer_class": name, **_special(told)}
        yield (
            "HfJsonTokenizer",
            {"tokenizer_config": json.dumps(config), "tokenizer_vocab": tokenizer},
        )


_CLASSES = {
    "BPE": ("RobertaTokenizer", "GPT2Tokenizer", "PreTrainedTokenizerFast"),
    "Unigram": ("XLMRobertaTokenizer", "T5Tokenizer"),
}
"""Under which names the operator knows each kind of tokenizer.json."""


def _normalizer(told: Mapping[str, Any]) -> Mapping[str, Any]:
    found = told.get("normalizer") or {}
    parts = found.get("normalizers", [found])
    merged: Facts = {}
    for part in parts:
        merged |= part if part.get("type") == "BertNormalizer" else {}
        merged |= {"lowercase": True} if part.get("type") == "Lowercase" else {}
        merged |= {"strip_accents": True} if part.get("type") == "StripAccents" else {}
    return merged


def _special(told: Mapping[str, Any]) -> Facts:
    """Name the special tokens, by the words that vocabularies have for them."""
    known = {entry["content"] for entry in told.get("added_tokens", ())}
    roles = {
        "bos_token": ("<s>", "[CLS]", "<|endoftext|>"),
        "eos_token": ("</s>", "[SEP]", "<|endoftext|>"),
        "unk_token": ("<unk>", "[UNK]", "<|endoftext|>"),
        "pad_token": ("<pad>", "[PAD]"),
    }
    found = {role: [word for word in words if word in known] for role, words in roles.items()}
    return {role: words[0] for role, words in found.items() if words}


def tokenising_graph(
    form: Mapping[str, Any], operator: tuple[str, Facts], read: Iterable[str], like: Any
) -> Any:
    """Build the graph: ``text`` (n,) → what the network reads, (n, longest).

    Parameters
    ----------
    form : mapping
        What the file says of its input.
    operator : (str, dict)
        One of `operators`.
    read : iterable of str
        Names of the network's inputs.
    like : ModelProto
        Whose opset and version of the format it has.
    """
    onnx = need("onnx", install=EXTRA, purpose=PURPOSE)
    make, most = onnx.helper, int(form["max_length"])
    number, string, truth = (
        getattr(onnx.TensorProto, name) for name in ("INT64", "STRING", "BOOL")
    )
    given = {"given_ids": (0, most), "given_mask": (0, most), "given_types": (0, most)}
    node = make.make_node
    constants: Facts = {
        "zero": np.array([0]),
        "one": np.array([1]),
        "most": np.array([most]),
        "most_but_one": np.array([most - 1]),
        "last": np.array([-1]),
        "beyond": np.array([1 << 62]),
        "padding": np.array(form["padding"]),
        "yes": np.array(True),
        "prompt": np.array([form["prompt"]], dtype=object),
        **{name: np.zeros(shape, np.int64) for name, shape in given.items()},
    }
    kind, attributes = operator
    outputs = ["ids", "types", "mask"] if kind == "BertTokenizer" else ["rows"]
    body = make.make_graph(
        [
            node("Gather", ["text", "i"], ["alone"]),
            node("Unsqueeze", ["alone", "zero"], ["bare"]),
            _prompted(node, form),
            node(kind, ["item"], outputs, domain=DOMAIN, **attributes),
            *([] if "ids" in outputs else [node("Reshape", ["rows", "last"], ["ids"])]),
            # A text that is too long keeps its first tokens, and the last, which ends it.
            node("Slice", ["ids", "last", "beyond"], ["end"]),
            node("Slice", ["ids", "zero", "last"], ["all_but_end"]),
            node("Slice", ["all_but_end", "zero", "most_but_one"], ["begin"]),
            node("Concat", ["begin", "end"], ["cut"], axis=0),
            node("Shape", ["cut"], ["length"]),
            node("Sub", ["most", "length"], ["gap"]),
            node("Concat", ["zero", "gap"], ["gaps"], axis=0),
            node("Pad", ["cut", "gaps", "padding"], ["row"]),
            node(
                "ConstantOfShape",
                ["length"],
                ["ones"],
                value=make.make_tensor("", number, [1], [1]),
            ),
            node("Pad", ["ones", "gaps"], ["row_mask"]),
            node("Identity", ["goes_on"], ["goes_on_"]),
        ],
        "each",
        [
            make.make_tensor_value_info("i", number, []),
            make.make_tensor_value_info("goes_on", truth, []),
        ],
        [
            make.make_tensor_value_info("goes_on_", truth, []),
            make.make_tensor_value_info("row", number, [most]),
            make.make_tensor_value_info("row_mask", number, [most]),
        ],
    )
    nodes = [
        node("Size", ["text"], ["count"]),
        node("Loop", ["count", "yes"], ["read_ids", "read_mask"], body=body),
        node("Sub", ["read_ids", "read_ids"], ["read_types"]),
    ]
    for name in ("ids", "mask", "types"):
        both = [f"read_{name}", f"given_{name}"]
        nodes.append(node("Concat", both, [f"all_{name}"], axis=0))
    nodes += [
        node("ReduceSum", ["all_mask", "one"], ["lengths"], keepdims=0),
        node("ReduceMax", ["lengths"], ["longest"], keepdims=1),
    ]
    known = {"input_ids": "ids", "attention_mask": "mask", "token_type_ids": "types"}
    for name in read:
        reads = [f"all_{known[name]}", "zero", "longest", "one"]
        nodes.append(node("Slice", reads, [f"{name}_read"]))
    graph = make.make_graph(
        nodes,
        "tokenise",
        [
            make.make_tensor_value_info("text", string, ["texts"]),
            *(make.make_tensor_value_info(name, number, ["rows", most]) for name in given),
        ],
        [make.make_tensor_value_info(f"{name}_read", number, ["n", "m"]) for name in read],
        [_constant(onnx, name, value) for name, value in constants.items()],
    )
    kept = {TEXT, *given, *(value.name for value in graph.output)}
    # Another graph may have names like those within.
    rename(graph, lambda name: name if name in kept else f"tokenise/{name}")
    opsets = [*like.opset_import, make.make_opsetid(DOMAIN, 1)]
    return make.make_model(graph, opset_imports=opsets, ir_version=like.ir_version)


def rename(graph: Any, new: Callable[[str], str]) -> None:
    """Give other names to all tensors of a graph, and of the graphs within."""
    for value in (*graph.input, *graph.output, *graph.initializer):
        value.name = new(value.name)
    for one in graph.node:
        one.input[:], one.output[:] = map(new, one.input), map(new, one.output)
        for attribute in one.attribute:
            if attribute.HasField("g"):
                rename(attribute.g, new)


def _prompted(node: Any, form: Mapping[str, Any]) -> Any:
    if form["prompt"]:
        return node("StringConcat", ["prompt", "bare"], ["item"], domain=DOMAIN)
    return node("Identity", ["bare"], ["item"])


def _constant(onnx: Any, name: str, value: Any) -> Any:
    if value.dtype == object:
        return onnx.helper.make_tensor(
            name, onnx.TensorProto.STRING, value.shape, [one.encode() for one in value]
        )
    return onnx.numpy_helper.from_array(value, name)
