"""What ``inputs=`` asks for, and the inputs of a file → the form in which its graph reads each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..process import need
from ._decoding import BYTES
from ._inputs import Input
from ._resizing import PIXELS, PREPARED
from ._tokenising import TEXT

_EXTENSIONS = "sklearn-pretrained[onnx-extensions]"
_EXTENDED = (BYTES, TEXT)
_IMAGES, _TEXTS = "images", "texts"
_READS = {PIXELS: _IMAGES, BYTES: _IMAGES, TEXT: _TEXTS}
INPUTS = (PREPARED, *_READS)
Inputs = str | Mapping[str, str]


def check_inputs(inputs: Inputs) -> None:
    """Raise where there is no such form of inputs, or what it needs is not installed."""
    for form in inputs.values() if isinstance(inputs, Mapping) else (inputs,):
        if form not in INPUTS:
            raise ValueError(f"inputs={form!r} is not one of {', '.join(map(repr, INPUTS))}.")
        if form in _EXTENDED:
            need("onnxruntime_extensions", install=_EXTENSIONS, purpose=f"inputs={form!r}")


def choose_forms(inputs: Inputs, found: Sequence[Input]) -> None:
    """Note in each input which form is asked for.

    Parameters
    ----------
    inputs : str or mapping of str to str
        One form, for all inputs of its kind, or forms by the names of steps or columns.
    found : sequence of Input
    """
    if isinstance(inputs, Mapping):
        chosen: dict[str, str] = {}
        for name, form in inputs.items():
            called = [one for one in found if _is_called(one, name)]
            if not called:
                known = ", ".join(repr(one.part.name) for one in found)
                raise ValueError(
                    f"inputs has the name {name!r}, and this pipeline's inputs are {known}. Name "
                    "one of them, the step in which they are, or the column that one reads."
                )
            for one in called:
                if chosen.setdefault(one.part.name, form) != form:
                    raise ValueError(
                        f"inputs names {one.part.name!r} twice, for {chosen[one.part.name]!r} and "
                        f"for {form!r} as {name!r}."
                    )
                _choose(form, one)
        return
    if inputs == PREPARED:
        return
    called = [one for one in found if _kind(one) == _READS[inputs]]
    for one in called or found[:1]:  # the first is told why it is not
        _choose(inputs, one)


def _choose(form: str, one: Input) -> None:
    """Note a form, or say why an input cannot have it."""
    whose = f"{one.part.name!r}: " if one.prefix else ""
    kind = _kind(one)
    if form != PREPARED and _READS[form] == _IMAGES and one.form["kind"] != "pictures":
        raise ValueError(
            f"{whose}inputs={form!r} is for pipelines over images of which the shorter side is "
            "resized and the centre cut out. Use inputs='prepared' for others."
        )
    if form == BYTES and one.form["value_range"] is not None:
        raise ValueError(
            f"{whose}inputs='bytes' reads images of 8 bits, and value_range is for others. Use "
            "inputs='pixels', or fit the pipeline without value_range."
        )
    if form == TEXT and (kind != _TEXTS or one.form["truncation"] == "error"):
        raise ValueError(
            f"{whose}inputs='text' is for a column of texts, read by a featurizer which cuts those "
            "that are too long. Use inputs='prepared' for others."
        )
    one.asked = form


def _kind(one: Input) -> str:
    """Say what an input is of: images also where it takes them prepared."""
    if one.form["kind"] == "arrays":
        return "rows" if one.form["name"] == "rows" else _IMAGES
    return _IMAGES if one.form["kind"] == "pictures" else str(one.form["kind"])


def _is_called(one: Input, name: str) -> bool:
    """Tell whether a name is that of an input, of a step around it, or of its one column."""
    return f"{one.part.name}/".startswith(f"{name}/") or one.columns.names == [name]
