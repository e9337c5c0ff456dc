"""A folder of sentence-transformers → how it prepares texts, and what it makes of their tokens.

Its files are read key by key, as sentence-transformers' own loader reads them. What is not
understood is neither ignored nor guessed: the folder is then refused, by file and key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from . import _sentence_keys as keys
from ._sentence_keys import (
    NotUnderstoodError,
    check,
    json_in,
    module_file,
    of_type,
    size_of,
)
from ._sentence_steps import STEPS, Step

_TRANSFORMER_FILES = tuple(
    f"sentence_{kind}_config.json"
    for kind in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
_FOLDER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_MODES = {
    "cls": "cls",
    "max": "max",
    "mean": "mean",
    "mean_sqrt_len_tokens": "mean_sqrt_len",
    "weightedmean": "weightedmean",
    "lasttoken": "last",
}
_OLD_MODES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
"""In the order in which their results lie side by side."""

_STATIC = "it has no transformer, only a table of word or token vectors"
_OVER_TOKENS = "it works on tokens after the transformer, which is not supported"
_SPARSE = "it gives sparse vectors, or several vectors per text"
REFUSED = {
    **dict.fromkeys(("StaticEmbedding", "WordEmbeddings", "BoW"), _STATIC),
    **dict.fromkeys(("CNN", "LSTM", "WordWeights"), _OVER_TOKENS),
    "WeightedLayerPooling": "it combines hidden states; use layer=[...] instead",
    "CLIPModel": "it also processes images; for the texts of CLIP, use layer='projection'",
    **dict.fromkeys(("Router", "Asym"), "it processes queries and documents differently"),
    **dict.fromkeys(
        ("SpladePooling", "MLMTransformer", "SparseAutoEncoder", "SparseStaticEmbedding"), _SPARSE
    ),
    **dict.fromkeys(("MultiVectorMask", "BaseTokenPooling", "LambdaTokenPooling"), _SPARSE),
    "HierarchicalTokenPooling": _SPARSE,
    "LogitScore": "it scores pairs of texts",
}
"""Modules of sentence-transformers that are not read here, and why."""

_EXCLUDES_PROMPT = {f"hkunlp/instructor-{size}" for size in ("base", "large", "xl")}
"""Names for which sentence-transformers itself overrides the folder's ``include_prompt``."""


@dataclass(frozen=True)
class SentenceFolder:
    """What a folder of sentence-transformers says; as it stands here, that of another folder.

    Parameters
    ----------
    modes : tuple of str
        Its pooling in this package's words, one after another.
    skips_prompt : bool
        Whether the tokens of a prompt are left out of the pooling.
    steps : tuple of Step
        What becomes of the rows then.
    max_length : int or None
    lowers : bool
        Whether texts are brought to lower case before all else.
    prompts : tuple of (str, str)
        Prompts by their names.
    default_prompt : str
        Put before every text, unless the user says otherwise.
    refused : str
        What the folder asks for and is not done here, by file and key.
    """

    modes: tuple[str, ...] = ()
    skips_prompt: bool = False
    steps: tuple[Step, ...] = ()
    max_length: int | None = None
    lowers: bool = False
    prompts: tuple[tuple[str, str], ...] = ()
    default_prompt: str = ""
    refused: str = ""

    def misfit(self, columns: int) -> str:
        """Say which step cannot take what comes to it, where the network gives so many columns."""
        columns *= len(self.modes)
        for step in self.steps:
            if step.inputs not in {0, columns}:
                return f"{step.path} expects {step.inputs} columns, but receives {columns}"
            columns = step.size or columns
        return ""

    def facts(self) -> dict[str, Any]:
        """Return what decides rows, besides length, prompt and the pooling's name.

        It is empty for most folders.
        """
        with_weights = [asdict(step) for step in self.steps if step.path]
        facts = {"lower_case": self.lowers, "trained": with_weights}
        return {name: fact for name, fact in facts.items() if fact}


def sentence_folder(folder: Path, name: str = "") -> SentenceFolder:
    """Read what sentence-transformers wrote into a folder.

    Parameters
    ----------
    folder : Path
    name : str, default=""
        The network's name on the hub.
    """
    found = SentenceFolder()
    if not (folder / "modules.json").is_file():
        return found
    # What is understood of the way texts are prepared holds for every pooling.
    for read in (_prompts, _preparation, _modules):
        try:
            found = replace(found, **read(folder))
        except NotUnderstoodError as error:
            found = replace(found, refused=found.refused or str(error))
    return replace(found, skips_prompt=found.skips_prompt or name in _EXCLUDES_PROMPT)


def _model(folder: Path) -> tuple[Mapping[str, Any], str]:
    place = "config_sentence_transformers.json"
    return check(json_in(folder, place), keys.MODEL, place), place


def _prompts(folder: Path) -> dict[str, Any]:
    found, place = _model(folder)
    named = of_type(found.get("prompts", {}), dict, f"prompts in {place}")
    # Every model of sentence-transformers has these two, empty unless it says otherwise.
    prompts = {
        name: of_type("" if text is None else text, str, f"prompt {name!r} in {place}")
        for name, text in {"query": "", "document": "", **named}.items()
    }
    default = found.get("default_prompt_name")
    if default is not None and default not in prompts:
        raise NotUnderstoodError(
            f"{place} has default_prompt_name={default!r}, but no prompt of that name"
        )
    return {
        "prompts": tuple(prompts.items()),
        "default_prompt": "" if default is None else prompts[default],
    }


def _preparation(folder: Path) -> dict[str, Any]:
    place, found = "", {}
    for place in _TRANSFORMER_FILES:
        found = json_in(folder, place)
        if found:
            break
    check(found, keys.TRANSFORMER, place)
    # An older name of a part stands behind its newer one, and replaces it whole.
    parts = {
        key: check(of_type(found[key], dict, f"{key} in {place}"), known, f"{key} in {place}")
        for key, known in keys.PARTS.items()
        if key in found
    }
    processor = parts.get("tokenizer_args", parts.get("processor_kwargs", {}))
    length = None
    if "model_max_length" in processor:
        length = size_of(processor, "model_max_length", place)
    elif found.get("max_seq_length") is not None:
        length = size_of(found, "max_seq_length", place)
    lowers = of_type(found.get("do_lower_case", False), bool, f"do_lower_case in {place}")
    return {"max_length": length, "lowers": lowers}


def _modules(folder: Path) -> dict[str, Any]:
    modules = [
        (_class(module), _path(module)) for module in json_in(folder, "modules.json", kind=list)
    ]
    kinds = [kind for kind, _ in modules]
    if kinds[:2] != ["Transformer", "Pooling"] or not set(kinds[2:]) <= STEPS.keys():
        raise NotUnderstoodError(
            f"modules.json lists {' → '.join(kinds) or 'nothing'}; supported are a Transformer, "
            f"a Pooling, and then any of {', '.join(STEPS)}"
        )
    if modules[0][1]:
        raise NotUnderstoodError(
            f"modules.json keeps the Transformer at path={modules[0][1]!r}; move its files to the "
            "top of the folder"
        )
    steps = [step for kind, path in modules[2:] for step in STEPS[kind](folder, path)]
    model, place = _model(folder)
    if model.get("truncate_dim") is not None:
        steps.append(Step("cut", size_of(model, "truncate_dim", place)))
    return {**_pooling(folder, modules[1][1]), "steps": tuple(steps)}


def _class(module: Any) -> str:
    """Return the name of a module's class, which must be one that is known."""
    place = "modules.json"
    check(of_type(module, dict, f"an entry of {place}"), keys.MODULES, place)
    kind = of_type(module.get("type"), str, f"type in {place}")
    if not kind.startswith("sentence_transformers."):
        raise NotUnderstoodError(
            f"{place} has type={kind!r}, which is code in the folder, and such code is never run"
        )
    name = kind.rpartition(".")[2]
    if name in REFUSED:
        raise NotUnderstoodError(f"{place} has type={kind!r}: {REFUSED[name]}")
    if name not in {"Transformer", "Pooling", *STEPS}:
        raise NotUnderstoodError(f"{place} has type={kind!r}, which is not supported")
    return name


def _path(module: Mapping[str, Any]) -> str:
    path = of_type(module.get("path"), str, "path in modules.json")
    if path and not _FOLDER.fullmatch(path):
        raise NotUnderstoodError(f"modules.json has path={path!r}, which is not a folder in it")
    return path


def _pooling(folder: Path, path: str) -> dict[str, Any]:
    found, place = module_file(folder, path, keys.POOLING)
    if not found:
        raise NotUnderstoodError(f"{place} is missing or empty")
    chosen = found.get("pooling_mode")
    if chosen is None:
        chosen = [mode for key, mode in _OLD_MODES.items() if found.get(key)] or ["mean"]
    modes = (
        [chosen] if isinstance(chosen, str) else of_type(chosen, list, f"pooling_mode in {place}")
    )
    if not modes or not all(isinstance(mode, str) and mode in _MODES for mode in modes):
        raise NotUnderstoodError(f"{place} has pooling_mode={chosen!r}, which is not supported")
    includes = of_type(found.get("include_prompt", True), bool, f"include_prompt in {place}")
    return {"modes": tuple(_MODES[mode] for mode in modes), "skips_prompt": not includes}
