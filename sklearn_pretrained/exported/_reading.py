"""X → samples, as the featurizer prepares them → what a file's network is fed; without torch."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..exceptions import BadItemError, TruncationWarning
from ..inputs import read_texts
from ..process import need
from ._each import each
from ._images import read_pixels
from ._pixels import Files, WholePictures
from ._resize import prepare
from ._several import Reader, Several
from ._table import Table

Feed = dict[str, NDArray[Any]]


class Pictures:
    """Images of any kind and size.

    Parameters
    ----------
    form : mapping
        What the file says of its input.
    """

    def __init__(self, form: Mapping[str, Any]) -> None:
        self._form = form

    def samples(self, X: Any) -> list[Any]:
        """Decode, resize and crop."""
        geometry = self._form["geometry"]
        return read_pixels(X, self._form, lambda pixels: prepare(pixels, geometry))

    def size(self, sample: Any) -> int:  # noqa: ARG002  all have one size
        """Return the same for all."""
        return 1

    def feed(self, samples: Sequence[Any]) -> Feed:
        """Stack them."""
        return {"images": np.stack(samples)}


class Arrays:
    """Numbers in the very form that the network reads.

    Parameters
    ----------
    form : mapping
    """

    def __init__(self, form: Mapping[str, Any]) -> None:
        self._name, self._dtype = form["name"], np.dtype(form["dtype"])
        self._shape = tuple(form["shape"])

    def samples(self, X: Any) -> list[Any]:
        """Check shape, type and numbers."""
        array = np.asarray(X)
        if array.shape[1:] != self._shape or array.ndim == 0:
            prepared = "" if self._name == "rows" else " that are prepared for the network already"
            raise ValueError(
                f"X has shape {array.shape}, and this file reads arrays of shape "
                f"(n, {', '.join(map(str, self._shape))}){prepared}."
            )
        if self._dtype == np.uint8 and array.dtype != np.uint8:
            raise ValueError(
                f"X holds {array.dtype} numbers, and this file reads uint8 pixels that are resized "
                "and cropped already."
            )
        rows = np.ascontiguousarray(array, self._dtype)
        for i, row in enumerate(rows):
            if not np.isfinite(row).all():
                raise BadItemError(f"Item {i} of X holds NaN or infinity. Remove it.")
        return list(rows)

    def size(self, sample: Any) -> int:  # noqa: ARG002  all have one size
        """Return the same for all."""
        return 1

    def feed(self, samples: Sequence[Any]) -> Feed:
        """Stack them."""
        return {self._name: np.stack(samples)}


class Tokens:
    """Texts and pairs of texts.

    Parameters
    ----------
    form : mapping
    tokenizer : str
        The content of a tokenizer.json.
    """

    def __init__(self, form: Mapping[str, Any], tokenizer: str) -> None:
        tokenizers = need("tokenizers", install="tokenizers", purpose="Reading texts")
        self._form = form
        self._tokenizer = tokenizers.Tokenizer.from_str(tokenizer)
        # What a user writes is text: "[CLS]" in an e-mail is five characters, no command.
        self._tokenizer.encode_special_tokens = True
        self._cut = 0

    def samples(self, X: Any) -> list[Any]:
        """Tokenise."""
        self._cut = 0
        made = each(read_texts(X), self._one)
        if self._cut and self._form["truncation"] == "warn":
            warnings.warn(
                f"{self._cut} of {len(made)} texts were longer than {self._form['max_length']} "
                "tokens, and were cut.",
                TruncationWarning,
                stacklevel=4,
            )
        return made

    def _one(self, text: Any) -> dict[str, list[int]]:
        form, prompt = self._form, self._form["prompt"]
        pair = isinstance(text, tuple)
        parts = (prompt + text[0], text[1]) if pair else (prompt + text,)
        least = self._tokenizer.num_special_tokens_to_add(True)
        if pair and form["max_length"] <= least:
            raise BadItemError(
                f"is a pair of texts, for which max_length={form['max_length']} leaves no room "
                f"after {least} special tokens; export a pipeline with a larger one"
            )
        found = self._tokenizer.encode(*parts)
        if not found.ids:
            raise BadItemError(
                "is empty, and this tokenizer adds no special tokens, so there is nothing to encode"
            )
        if found.overflowing:
            self._cut += 1
            if form["truncation"] == "error":
                raise BadItemError(
                    f"is longer than {form['max_length']} tokens; shorten it, or export a "
                    "pipeline with truncation='cut'"
                )
        tokens = {"input_ids": found.ids}
        return {**tokens, "token_type_ids": found.type_ids} if form["types"] else tokens

    def size(self, sample: Any) -> int:
        """Count tokens."""
        return len(sample["input_ids"])

    def feed(self, samples: Sequence[Any]) -> Feed:
        """Pad on the right."""
        longest = max(map(self.size, samples))
        filler = {"input_ids": self._form["padding"]}
        batch = {
            name: np.array(
                [one[name] + [filler.get(name, 0)] * (longest - self.size(one)) for one in samples],
                np.int64,
            )
            for name in samples[0]
        }
        lengths = np.array([self.size(one) for one in samples])
        batch["attention_mask"] = (np.arange(longest) < lengths[:, None]).astype(np.int64)
        return batch


class Strings(Tokens):
    """Texts for a file that tokenises itself: it is given tokens, and a string as it is."""

    def size(self, sample: Any) -> int:
        """Count tokens; of a string letters."""
        return len(sample) if isinstance(sample, str) else super().size(sample)

    def feed(self, samples: Sequence[Any]) -> Feed:
        """Pad to the longest that the graph reads."""
        if isinstance(samples[0], str):
            return {"text": np.array(samples, object)}
        batch = super().feed(samples)
        ids = batch["input_ids"]
        gap = [(0, 0), (0, self._form["max_length"] - ids.shape[1])]
        return {
            "text": np.array([], object),
            "given_ids": np.pad(ids, gap, constant_values=self._form["padding"]),
            "given_mask": np.pad(batch["attention_mask"], gap),
            "given_types": np.pad(batch.get("token_type_ids", np.zeros_like(ids)), gap),
        }


def reader(form: Mapping[str, Any], tokenizers: Mapping[str, str]) -> Reader:
    """Choose what reads X, as the file says of its input.

    Parameters
    ----------
    form : mapping
    tokenizers : mapping of str to str
        The contents of tokenizer.json, by the prefix of the input that they belong to.
    """
    if form["kind"] == "several":
        parts = form["parts"]
        readers = [reader(part["form"], {"": tokenizers.get(part["prefix"], "")}) for part in parts]
        return Several(parts, readers)
    if form["kind"] in _OF_TEXTS:
        return _OF_TEXTS[form["kind"]](form, tokenizers.get("", ""))
    return _KINDS[form["kind"]](form)


_OF_TEXTS: dict[str, type[Tokens]] = {"texts": Tokens, "text": Strings}
_KINDS: dict[str, Callable[[Mapping[str, Any]], Reader]] = {
    "pictures": Pictures,
    "pixels": WholePictures,
    "bytes": Files,
    "arrays": Arrays,
    "table": Table,
}
