"""A file of `torch.export.save` → its program, if nothing in the file could run code."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from ...exceptions import WeightsError

_PARTS = re.compile(
    r"models/model\.json|archive_format|archive_version|byteorder|\.data/\w+|extra/.*"
    r"|data/weights/(weight_\d+|model_weights_config\.json)"
    r"|data/constants/(tensor_\d+|model_constants_config\.json)|data/sample_inputs/model\.pt"
)
_CONFIGS = ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json")
_PAYLOAD = re.compile(r"(weight|tensor)_\d+")
_ON_NUMBERS = (
    "getitem|add|sub|mul|floordiv|truediv|mod|pow|neg|pos|abs|eq|ne|lt|le|gt|ge|and_|or_|not_"
)
_OPERATOR = re.compile(
    r"torch\.ops\.(aten|prims|higher_order|torchvision|quantized_decomposed)\.(?!_*__)\w+(\.\w+)?"
    rf"|_operator\.({_ON_NUMBERS})|math\.[a-z]\w*|torch\.sym_[a-z]+|torch\._sym_[a-z]+"
)
_PIECE = re.compile(r"'[^']*'|\w+|\S")
_WORD = re.compile(
    r"[A-Z]\w*|[a-z]{1,4}\d+|\d+|True|False|None"
    r"|positive|nonnegative|negative|integer|real|finite|zero|nonzero|evaluate"
)


def open_program(path: Path) -> Any:
    """Check a file and load the program that it holds.

    torch opens such files with pickle, and reads the sizes in them as Python expressions. So what
    stands in the file is looked through first: tensors as plain bytes, operators of torch, and
    sizes that only calculate pass; all else is refused.
    """
    with _archive(path) as archive:
        _check(archive, path)
    try:
        return torch.export.load(path)
    except Exception as error:
        raise WeightsError(
            f"{path} could not be read as an exported program: {error}. Programs are bound to "
            "versions of torch; export the network again with this one."
        ) from error


def _archive(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise WeightsError(
            f"{path} is no exported program, or was cut short: {error}. Write it with "
            "torch.export.save(torch.export.export(network, inputs), path)."
        ) from error


def _check(archive: zipfile.ZipFile, path: Path) -> None:
    full = {name.partition("/")[2]: name for name in archive.namelist()}
    if len(full) != len(archive.namelist()):
        raise _refuse(path, "has several parts of one name")
    for part in full:
        if not _PARTS.fullmatch(part):
            raise _refuse(path, f"holds {part!r}")
    try:
        for config in _CONFIGS:
            for name, payload in json.loads(archive.read(full[config]))["config"].items():
                if payload["use_pickle"] or not _PAYLOAD.fullmatch(payload["path_name"]):
                    raise _refuse(path, f"stores {name!r} as a pickle")
        sample = archive.read(full["data/sample_inputs/model.pt"])
        graph = json.loads(archive.read(full["models/model.json"]))
    except (KeyError, TypeError, ValueError, AttributeError, zipfile.BadZipFile) as error:
        raise WeightsError(
            f"{path} is no exported program as torch.export.save writes it, or is damaged: "
            f"{error!r}."
        ) from error
    _check_sample(sample, path)
    _check_graph(graph, path)


def _check_sample(sample: bytes, path: Path) -> None:
    """Refuse what torch would only read by running a pickle."""
    try:
        torch.load(io.BytesIO(sample), weights_only=True)
    except Exception as error:
        raise _refuse(path, "stores its sample inputs as a pickle of more than tensors") from error


def _check_graph(graph: Any, path: Path) -> None:
    for key, text in _strings(graph):
        if key in {"target", "as_operator"} and not _OPERATOR.fullmatch(text):
            raise _refuse(path, f"calls {text!r}")
        if key == "expr_str" and not _only_calculates(text):
            raise _refuse(path, f"has a size {text!r}")
        if key.endswith("_spec") and re.search(r"default_factory_module|__enum__|\\u", text):
            raise _refuse(path, "has inputs or outputs that import modules")


def _refuse(path: Path, reason: str) -> WeightsError:
    return WeightsError(
        f"{path} {reason}, which could run code while it is loaded. If you trust the file, load it "
        "yourself and pass the program: model=torch.export.load(path)."
    )


def _strings(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Find every string in parsed JSON, with the key that it stands under."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, list):
        for part in value:
            yield from _strings(part, key)
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from _strings(part, name)


def _only_calculates(expression: str) -> bool:
    """Tell sums and products of symbols from expressions that could reach other things."""
    words = _PIECE.findall(expression)
    for i, word in enumerate(words):
        if word[0] == "'":
            if words[max(0, i - 2) : i] != ["Symbol", "("] or not re.fullmatch(r"'\w+'", word):
                return False
        elif word == ".":
            if not all(beside.isdigit() for beside in (*words[i - 1 : i], *words[i + 1 : i + 2])):
                return False
        elif not (_WORD.fullmatch(word) or word in "+-*/(),<>=!&|~"):
            return False
    return True
