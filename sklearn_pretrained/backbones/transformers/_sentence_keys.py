"""A file of a sentence-transformers folder → what may stand in it; what is not known is refused.

For each key that sentence-transformers reads there is one word here: `READ`, or the values that are
understood, or, as a text, why no value of it can move a row.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

READ = object()
Known = Mapping[str, Any]


class NotUnderstoodError(ValueError):
    """A folder asks for what is not done here; says which file and key."""


class Only(tuple[Any, ...]):
    """The values of a key that are understood."""

    __slots__ = ()


_ITS_OWN = "sentence-transformers overrides it whenever it loads a folder"
_OF_THE_HUB: Known = dict.fromkeys(
    ("subfolder", "token", "cache_dir", "revision", "local_files_only", "trust_remote_code"),
    _ITS_OWN,
)
_PRECISION = "the featurizer's own dtype says in which precision a network runs"
_TASKS = "holds for encode_query and encode_document alone"
_WIDTH = "the network's own configuration says how wide it is"
_SENTENCE = Only((None, "sentence_embedding"))

MODULES: Known = {
    "type": READ,
    "path": READ,
    "idx": "modules are run in the order of the list",
    "name": "a module is found by its path",
    "kwargs": "names what encode may be given, and nothing is given",
}
MODEL: Known = {
    "prompts": READ,
    "default_prompt_name": READ,
    "truncate_dim": READ,
    "model_type": Only(("SentenceTransformer",)),
    "requirements": Only((None, {})),
    "similarity_fn_name": "compares rows and makes none",
    "__version__": "says who wrote the folder",
}
NETWORK: Known = {
    **_OF_THE_HUB,
    **dict.fromkeys(("dtype", "torch_dtype"), _PRECISION),
    "attn_implementation": "says how fast a network runs",
}
CONFIGURATION: Known = {**_OF_THE_HUB, "use_cache": "no text is continued"}
PROCESSOR: Known = {
    **_OF_THE_HUB,
    "model_max_length": READ,
    "padding_side": "padding never counts",
}
PARTS: dict[str, Known] = {
    "model_kwargs": NETWORK,
    "model_args": NETWORK,
    "config_kwargs": CONFIGURATION,
    "config_args": CONFIGURATION,
    "processor_kwargs": PROCESSOR,
    "tokenizer_args": PROCESSOR,
}
"""Keys of the transformer whose values have keys of their own; the second of a pair is its old
name, which goes before."""
_TEXT = {"method": "forward", "method_output_name": "last_hidden_state"}
TRANSFORMER: Known = {
    **dict.fromkeys(PARTS, READ),
    "max_seq_length": READ,
    "do_lower_case": READ,
    "transformer_task": Only(("feature-extraction",)),
    "modality_config": Only((None, {"text": _TEXT})),
    "module_output_name": Only((None, "token_embeddings")),
    "processing_kwargs": Only((None, {})),
    "tokenizer_name_or_path": Only((None,)),
    "query_length": _TASKS,
    "document_length": _TASKS,
    "query_expansion": _TASKS,
    "unpad_inputs": "padding never counts",
    "backend": _ITS_OWN,
    "cache_dir": _ITS_OWN,
}
POOLING: Known = {
    "pooling_mode": READ,
    "pooling_mode_cls_token": READ,
    "pooling_mode_max_tokens": READ,
    "pooling_mode_mean_tokens": READ,
    "pooling_mode_mean_sqrt_len_tokens": READ,
    "pooling_mode_weightedmean_tokens": READ,
    "pooling_mode_lasttoken": READ,
    "include_prompt": READ,
    "embedding_dimension": _WIDTH,
    "word_embedding_dimension": _WIDTH,
}
DENSE: Known = {
    "in_features": READ,
    "out_features": READ,
    "bias": READ,
    "activation_function": READ,
    "use_residual": READ,
    "module_input_name": _SENTENCE,
    "module_output_name": _SENTENCE,
}
LAYER_NORM: Known = {"dimension": READ}
NORMALIZE: Known = {"module_input_name": _SENTENCE, "module_output_name": _SENTENCE}
DROPOUT: Known = {"dropout": "nothing is dropped when a trained network is used"}


def check(found: Mapping[str, Any], known: Known, place: str) -> Mapping[str, Any]:
    """Return what a file says, if every key and value of it is understood."""
    for key, value in found.items():
        if key not in known:
            raise NotUnderstoodError(f"{place} has the key {key!r}, which is not supported")
        understood = known[key]
        if isinstance(understood, Only) and value not in understood:
            raise NotUnderstoodError(f"{place} has {key}={value!r}, which is not supported")
    return found


def json_in(folder: Path, place: str, kind: type = dict) -> Any:
    """Read a JSON file; an absent one is empty."""
    path = folder / place
    if not path.is_file():
        return kind()
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise NotUnderstoodError(f"{place} is not valid JSON ({error})") from error
    return of_type(found, kind, place)


def of_type(value: Any, kind: type, place: str) -> Any:
    """Return a value, if it is of a type; True and False are no numbers."""
    is_flag = isinstance(value, bool) and kind is not bool
    if not isinstance(value, kind) or is_flag:
        raise NotUnderstoodError(f"{place} is {value!r}, but a {kind.__name__} is expected")
    return value


def size_of(found: Mapping[str, Any], key: str, place: str) -> int:
    """Return a key's value, if it is a length."""
    value = of_type(found.get(key), int, f"{key} in {place}")
    if value < 1:
        raise NotUnderstoodError(f"{place} has {key}={value!r}, which is not a valid length")
    return value


def module_file(folder: Path, path: str, known: Known) -> tuple[Mapping[str, Any], str]:
    """Return what the file of a module says, and which file that is."""
    place = f"{path}/config.json"
    return check(json_in(folder, place), known, place), place
