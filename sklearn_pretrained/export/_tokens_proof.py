"""A tokenizer and texts → the operator that gives the most of its tokens, alone and in batches."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..exceptions import ExportError, TruncationWarning
from ..exported._reading import Tokens
from ..process import need
from ._tokenising import operators, tokenising_graph
from ._torch import EXTRA, PURPOSE

Facts = dict[str, Any]
PLAIN = (
    "A fine day.",
    "the quick brown fox jumps over the lazy dog",
    "Nothing works, and nobody answers!",
    "What does it cost: 12.50 or 1,000 (in dollars)?",
    "It's John's e-mail, isn't it?",
    "word " * 600,
)
ODD = (
    *(
        "",
        " ",
        "\n",
        "\t a\r\n",
        "\0a",
        "\ufeffa",
        "\u200b",
        "a\u200db",
        "\u2028",
        "\xad",
        "e\u0301",
    ),
    *("[CLS]", "a [SEP] b", "<s>", "</s>", "##ing", "ﬁ ½ Ⅷ ٣", "ß İ ŁÓDŹ", "café naïve Zürich"),
    *("“quoted” – dashed…", "€ £ © ™", "C++ & C#", "a_b-c/d\\e", "x" * 150, "http://a.b/c?d=1"),
    *(
        "שלום עולם",
        "مرحبا",
        "नमस्ते",
        "สวัสดี",
        "日本語",
        "한국어",
        "Ελληνικά",
        "Русский й ё",
        "Tiếng Việt",
    ),
    *("𝔘𝔫𝔦", "🦊 👍🏿", "🇩🇪 1\ufe0f\u20e3", "﷽", "\u0623\u064e"),
)


_IDS = "input_ids"
_SIZES = (3, 16)
"""Texts in one batch."""


def best_operator(
    form: Mapping[str, Any], tokenizer: str, read: Sequence[str], like: Any
) -> tuple[Any, Facts]:
    """Choose the operator whose tokens are the tokenizer's most often.

    Parameters
    ----------
    form : mapping
        What the file says of its input.
    tokenizer : str
        The content of its tokenizer.json.
    read : sequence of str
        Names of the network's inputs.
    like : ModelProto
        The network's graph.

    Returns
    -------
    ModelProto
        The graph in front of the network.
    dict
        What the report says of it.
    """
    theirs = Tokens(form, tokenizer)
    texts = [text for text in (*PLAIN, *ODD) if _ids(theirs, text) is not None]
    tried: list[tuple[int, list[str], str, Any, Any]] = []
    for operator in operators(tokenizer):
        try:
            graph = tokenising_graph(form, operator, read, like)
            run = _session(graph, read)
            missed = [text for text in texts if run([text])[_IDS].tolist() != [_ids(theirs, text)]]
        except Exception as error:  # an operator that does not know such a tokenizer
            said = str(error).strip().partition("\n")[0]
            tried.append((len(texts) + 1, [said], operator[0], None, None))
            continue
        tried.append((len(missed), missed, operator[0], graph, run))
    if not tried:
        raise ExportError(
            "inputs='text' knows WordPiece, BPE and Unigram, and this tokenizer is another. Use "
            "inputs='prepared'."
        )
    count, missed, name, graph, run = min(tried, key=lambda one: one[0])
    plain = next((text for text in missed if text in PLAIN), None)
    if graph is None or plain is not None:
        raise ExportError(
            f"No operator of onnxruntime-extensions gives this tokenizer's tokens; {name}, the "
            f"best, fails for {(plain or missed[0])[:80]!r}. Use inputs='prepared'."
        )
    _check_batches(run, texts, form["padding"])
    told = {
        "step": "tokens",
        "operator": name,
        "largest": count / len(texts),
        "allowed": 1,
        "odd_texts": len(texts),
        "odd_texts_that_differ": count,
        "for_example": missed[0] if missed else None,
    }
    return graph, told


def _ids(theirs: Tokens, text: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TruncationWarning)
        try:
            return theirs.samples([text])[0]["input_ids"]
        except ValueError:  # too long, or empty, for a network that refuses such texts
            return None


def _check_batches(run: Any, texts: Sequence[str], padding: int) -> None:
    """Compare what texts of several lengths become in batches with what each becomes alone."""
    alone = [run([text]) for text in texts]
    for size in _SIZES:
        for first in range(0, len(texts), size):
            rows = alone[first : first + size]
            longest = max(row[_IDS].shape[1] for row in rows)
            for name, found in run(texts[first : first + size]).items():
                wanted = np.full((len(rows), longest), padding if name == _IDS else 0)
                for row, one in zip(wanted, rows, strict=True):
                    row[: one[name].shape[1]] = one[name][0]
                if not np.array_equal(found, wanted):
                    raise ExportError(
                        f"In batches of {size} texts the graph gives another {name} than for each "
                        "text alone. Nothing was written. Use inputs='prepared'."
                    )


def _session(graph: Any, read: Sequence[str]) -> Any:
    runtime = need("onnxruntime", install=EXTRA, purpose=PURPOSE)
    extensions = need("onnxruntime_extensions", install=EXTRA, purpose=PURPOSE)
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.register_custom_ops_library(extensions.get_library_path())
    session = runtime.InferenceSession(graph.SerializeToString(), options)

    def run(texts: Sequence[str]) -> Any:
        asked = [f"{name}_read" for name in read]
        return dict(zip(read, session.run(asked, {"text": np.array(texts, object)}), strict=True))

    return run
