"""Examples as other programs feed them, and an opened file → what its own reading changes.

A decoder that is not Pillow, and operators that are not the tokenizer.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from PIL import Image

from ..exceptions import ExportError
from ..exported import ExportedPipeline
from ..exported._reading import reader
from ..inputs import read_images, read_texts
from ._agreement import agreement, answer_of, refuse_below
from ._decoding import BYTES
from ._inputs import Input, samples_of
from ._proof import allowed, distance, laid_out
from ._resizing import PREPARED
from ._tokenising import TEXT
from ._tokens_proof import PLAIN

_SIZES = (3, 16)
"""Strings in one batch, of several lengths."""
Facts = dict[str, Any]


def check_raw(
    runtime: ExportedPipeline, inputs: Sequence[Input], examples: Any, least: float
) -> list[Facts]:
    """Feed files and strings to the graph: of one input alone, and then of all.

    Parameters
    ----------
    runtime : ExportedPipeline
    inputs : sequence of Input
    examples : array-like of items
    least : float
        The agreement that is asked for.
    """
    raw = {BYTES: _files, TEXT: _strings}
    pairs = [raw[one.asked](one, examples) if one.asked in raw else (one, one) for one in inputs]
    told = []
    chosen = [i for i, one in enumerate(inputs) if one.asked in raw]
    for i in chosen:
        alone = [pair if i == j else (pair[1], pair[1]) for j, pair in enumerate(pairs)]
        told.append(_TOLD[inputs[i].asked](_Compared(runtime, alone), inputs[i], least))
    if len(chosen) > 1:
        both = _Compared(runtime, pairs)
        both.refuse_below(least, "The graph reads its inputs otherwise than the library", _INSTEAD)
        told.append(both.told("inputs together", 1 - both.agreed, 1 - least))
    return told


_INSTEAD = "Use inputs='prepared' for one of them"


@dataclass
class _Compared:
    """The answers to raw items beside those to what the library makes of them.

    Parameters
    ----------
    runtime : ExportedPipeline
    pairs : list of (Input, Input)
        Each input with what other programs feed it, and with the library's samples.
    """

    runtime: ExportedPipeline
    pairs: list[tuple[Input, Input]]
    agreed: float = 0.0
    refused: int = 0
    why: str = ""
    read: list[tuple[Any, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.name = answer_of(self.runtime)
        found, wanted = [], []
        raw, library = zip(*self.pairs, strict=True)
        for given, sample in zip(_whole(raw), samples_of(library), strict=True):
            if given is None:
                continue
            try:
                found.append(self._answer(given))
            except Exception as error:  # the graph refuses what it would decode otherwise
                self.refused += 1
                self.why = self.why or f" (the first: {error})".replace("\n", " ")
                continue
            wanted.append(self._answer(sample))
            self.read.append((given, sample))
        if found:
            share = len(found) / (len(found) + self.refused)
            self.agreed = agreement(self.name, np.asarray(found), np.asarray(wanted)) * share

    def _answer(self, sample: Any) -> Any:
        return self.runtime.outputs([sample], self.name)[self.name][0]

    def refuse_below(self, least: float, why: str, instead: str) -> None:
        """Raise where the agreement is less than what was asked for."""
        some = f", and refuses {self.refused} of {self.refused + len(self.read)} examples{self.why}"
        refuse_below(least, self.agreed, why + (some if self.refused else ""), instead)

    def told(self, step: str, largest: float, most: float, **more: Any) -> Facts:
        """Say in the report what was compared."""
        facts = {"step": step, "output": self.name, "largest": largest, "allowed": most}
        return {**facts, "agreement": self.agreed, "refused": self.refused, **more}


def _of_decoder(compared: _Compared, one: Input, least: float) -> Facts:
    """Tell how far the decoder's pixels are from Pillow's, and what that changes."""
    farthest = 0
    for given, sample in compared.read:
        decoded, prepared = (
            compared.runtime.tensor(fed, one.prefix + PREPARED).astype(int)
            for fed in (given, sample)
        )
        farthest = max(farthest, int(np.abs(decoded - prepared).max()))
    compared.refuse_below(
        least,
        f"The decoder of onnxruntime-extensions gives pixels up to {farthest} grey levels away "
        "from Pillow's",
        "Use inputs='pixels', and decode in the program around the file",
    )
    return compared.told(_named("decoder", one), farthest, 255, files=len(compared.read))


def _of_strings(compared: _Compared, one: Input, least: float) -> Facts:
    """Tell how many answers change by the operator's tokens."""
    if not (compared.read or compared.refused):
        raise ExportError(
            "The examples are pairs of texts only, which inputs='text' cannot read: a graph reads "
            "each string as one text. Use inputs='prepared'. Nothing was written."
        )
    compared.refuse_below(
        least,
        "onnxruntime-extensions gives other tokens than the tokenizer for some of the examples",
        "Use inputs='prepared'",
    )
    texts = len(compared.read)
    return compared.told(_named("strings", one), 1 - compared.agreed, 1 - least, texts=texts)


_TOLD = {BYTES: _of_decoder, TEXT: _of_strings}


def _named(step: str, one: Input) -> str:
    return f"{step} of {one.prefix[:-1]}" if one.prefix else step


def _files(one: Input, examples: Any) -> tuple[Input, Input]:
    """Take the files of images: JPEG and PNG as they are, others as a JPEG of their pixels."""
    files = list(_each_file(one.read(examples), one.form["image_shape"]))
    return replace(one, samples=files), replace(one, samples=reader(one.form, {}).samples(files))


def _each_file(items: Any, image_shape: Any) -> Iterator[bytes]:
    read = read_images(items, image_shape=image_shape)
    for i in range(len(read)):
        file = read.file(i)
        if file is None or not file.startswith((b"\xff\xd8\xff", b"\x89PNG")):
            buffer = io.BytesIO()
            Image.fromarray(read.load(i)).save(buffer, "JPEG")
            file = buffer.getvalue()
        yield file


def _strings(one: Input, examples: Any) -> tuple[Input, Input]:
    """Take texts as they are, and None in place of pairs, which a graph reads as tokens alone."""
    texts = read_texts(one.read(examples))
    found = [texts.load(i) for i in range(len(texts))]
    return replace(one, samples=[t if isinstance(t, str) else None for t in found]), one


def _whole(inputs: Sequence[Input]) -> list[Any]:
    """Lay samples side by side; None where a part of one is."""
    rows = zip(*(one.samples for one in inputs), strict=True)
    missing = [any(part is None for part in row) for row in rows]
    samples = zip(samples_of(inputs), missing, strict=True)
    return [None if misses else sample for sample, misses in samples]


def check_strings(
    runtime: ExportedPipeline, inputs: Sequence[Input], examples: Any, tolerance: float
) -> list[Facts]:
    """Compare the answers for strings in batches with those for each alone.

    Of the examples, and of texts of many lengths.

    Parameters
    ----------
    runtime : ExportedPipeline
    inputs : sequence of Input
    examples : array-like of items
    tolerance : float
    """
    texts = [one for one in inputs if one.asked == TEXT]
    if not texts or any(one.form.get("even") for one in texts) or _takes_one(runtime):
        return []
    given = [_longer(_strings(one, examples)[0] if one.asked == TEXT else one) for one in inputs]
    samples = [sample for sample in _whole(given) if sample is not None]
    outputs = list(runtime.facts_["outputs"])
    alone = runtime.outputs(samples, *outputs, batch_size=1)
    farthest = dict.fromkeys(outputs, 0.0)
    for size in _SIZES:
        found = runtime.outputs(samples, *outputs, batch_size=size)
        for name in outputs:
            far = distance(name, *map(laid_out, (found[name], alone[name])))
            most = allowed(name, tolerance)
            if not far <= most:
                raise ExportError(
                    f"In batches of {size} strings, {name} is up to {far:.1e} away from that of "
                    f"each string alone, and {most:.1e} is allowed. Nothing was written. Use "
                    "inputs='prepared'."
                )
            farthest[name] = max(farthest[name], far)
    return [
        {
            "step": "strings in batches",
            "output": name,
            "largest": far,
            "allowed": allowed(name, tolerance),
        }
        for name, far in farthest.items()
    ]


def _takes_one(runtime: ExportedPipeline) -> bool:
    return bool(runtime.facts_["input"].get("alone", False))


def _longer(one: Input) -> Input:
    """Add texts of many lengths; what stands beside them comes again."""
    count = len(one.samples)
    again = [one.samples[i % count] for i in range(len(PLAIN))]
    return replace(one, samples=[*one.samples, *(PLAIN if one.asked == TEXT else again)])
