"""Odd and hostile items → what exported files make of them, beside what the library does.

    python -m tests.hostile.exported            # images and texts, in every form of inputs
    python -m tests.hostile.exported images     # one of them

`exported.load` must give the same row or the same error for each item, whatever the graph reads.
Files and strings then go into the graphs themselves, as other programs feed them, each graph in
another process, since a damaged JPEG may end it or stop it: a row where the library has an error
is wrong, and so is another row for a PNG. What else differs is counted: the pixels of JPEG files,
the tokens of odd texts, and files that the graph refuses. The exit status is 1 where one is wrong.
"""

from __future__ import annotations

import multiprocessing
import re
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sklearn_pretrained import PretrainedImageFeaturizer, export_onnx
from sklearn_pretrained.exceptions import TruncationWarning
from sklearn_pretrained.exported import load
from tests.hostile import images, texts, trial

Case = tuple[str, Any]
SAME, LIMIT = 1e-4, 20.0
"""How far a row may be from the library's, and how long a graph may take for it, in seconds."""
FORMS = {"images": ("prepared", "pixels", "bytes"), "texts": ("prepared", "text")}
_ADVICE = re.compile(
    r"\. (?:Remove|Otherwise, remove) it|(?:;|\. This) .*(?:value_range|normalised)"
)
"""What follows is for whoever has the estimator, or the file alone."""


@dataclass
class Found:
    """What became of some items.

    Parameters
    ----------
    rows, errors : int
        Items with the library's row, or its error.
    wrong, moved, refused, crashes, hangs : list of str
        Of graphs alone all but the first: another row than the library's, an error in place of
        one, and the end of a process.
    """

    rows: int = 0
    errors: int = 0
    wrong: list[Any] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    crashes: list[str] = field(default_factory=list)
    hangs: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        counts = {name: len(value) for name, value in vars(self).items() if isinstance(value, list)}
        said = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
        return f"{self.rows} rows, {self.errors} errors{said and ', '}{said}"


def outcome(transform: Callable[..., Any], item: Any) -> Any:
    """Return a row, or the kind of an error and what it says up to its advice."""
    try:
        (row,) = transform([item])
    except Exception as error:
        return type(error), _ADVICE.split(str(error))[0]
    return row


def differing(both: Sequence[Any], cases: Sequence[Case]) -> Found:
    """Send items through a featurizer and an opened file; compare rows and errors."""
    found = Found()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TruncationWarning)
        for name, item in cases:
            ours, theirs = (outcome(one.transform, item) for one in both)
            if isinstance(ours, np.ndarray) and isinstance(theirs, np.ndarray):
                found.rows += 1
                if not _far(theirs, ours) <= SAME:
                    found.wrong.append((name, "another row"))
            elif isinstance(ours, np.ndarray) or isinstance(theirs, np.ndarray) or ours != theirs:
                found.wrong.append((name, str(ours)[:150], str(theirs)[:150]))
            else:
                found.errors += 1
    return found


def _far(found: Any, wanted: Any) -> float:
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))


def differing_in_the_graph(featurizer: Any, path: Path, name: str, cases: Sequence[Case]) -> Found:
    """Feed files or strings to a graph; compare with the library's rows and errors.

    Parameters
    ----------
    featurizer : estimator
    path : Path
        Of a file that reads ``"bytes"`` or ``"text"``.
    name : {"bytes", "text"}
    cases : sequence of (str, item)
        Others than files or strings are left out.
    """
    found = Found()
    with _graph(path, name) as run, warnings.catch_warnings():
        warnings.simplefilter("ignore", TruncationWarning)
        for label, item in _fed(cases, name):
            wanted, got = outcome(featurizer.transform, item), run(item)
            is_row = isinstance(wanted, np.ndarray)
            if isinstance(got, str):  # an error, or an end
                ends = getattr(found, got, None)
                if ends is not None:
                    ends.append(label)
                elif is_row:
                    found.refused.append(f"{label}: {got}")
                else:
                    found.errors += 1
            elif not is_row:
                found.wrong.append((label, str(wanted)[:150], "a row"))
            elif _far(got, wanted) <= SAME:
                found.rows += 1
            elif name == "bytes" and not item.startswith(b"\xff\xd8"):
                found.wrong.append((label, f"a row {_far(got, wanted):.1e} away"))
            else:
                found.moved.append(f"{label}: {_far(got, wanted):.1e}")
    return found


def _fed(cases: Sequence[Case], name: str) -> Iterator[Case]:
    """Yield what a graph can be fed."""
    kind = {"bytes": bytes, "text": str}[name]
    yield from ((label, kind(item)) for label, item in cases if isinstance(item, kind))


@contextmanager
def _graph(path: Path, name: str) -> Iterator[Callable[[Any], Any]]:
    """Open a file in another process, which is replaced when it ends or takes too long."""
    context = multiprocessing.get_context("spawn")
    state: list[Any] = []

    def stop() -> None:
        if state:
            process, pipe = state.pop()
            process.kill()
            process.join()
            pipe.close()

    def run(item: Any) -> Any:
        if not state:
            pipe, other = context.Pipe()
            process = context.Process(target=_work, args=(str(path), name, other), daemon=True)
            process.start()
            other.close()
            state.append((process, pipe))
            pipe.recv()  # it is ready
        _, pipe = state[0]
        pipe.send(item)
        try:
            if pipe.poll(LIMIT):
                return pipe.recv()
        except EOFError:
            stop()
            return "crashes"
        stop()
        return "hangs"

    try:
        yield run
    finally:
        stop()


def _work(path: str, name: str, pipe: Any) -> None:
    """Answer items with rows, or with what the error says."""
    import onnxruntime
    import onnxruntime_extensions as extensions

    options = onnxruntime.SessionOptions()
    options.register_custom_ops_library(extensions.get_library_path())
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(path, options)
    output = load(path, threads=1).facts_["outputs"]["transform"]["tensor"]
    pipe.send(None)
    while True:
        item = pipe.recv()
        fed = np.frombuffer(item, np.uint8) if name == "bytes" else np.array([item], object)
        try:
            pipe.send(session.run([output], {name: fed})[0][0])
        except Exception as error:
            pipe.send(f"{type(error).__name__}: {error}"[:200].replace("\n", " "))


def image_files(folder: Path, patches: Any, *forms: str) -> tuple[Any, dict[str, Path]]:
    """Write files over images; return the featurizer, and where they are."""
    featurizer = PretrainedImageFeaturizer(image_size=64, layer=1, cache=None).fit(patches)
    return featurizer, _written(featurizer, folder, patches, forms or FORMS["images"])


def text_files(folder: Path, *forms: str) -> tuple[Any, dict[str, Path]]:
    """Write files over texts."""
    featurizer = trial.texts(on_error="raise").fit(["a text"])
    return featurizer, _written(featurizer, folder, ["a text", "another"], forms or FORMS["texts"])


def _written(featurizer: Any, folder: Path, examples: Any, forms: Sequence[str]) -> dict[str, Path]:
    paths = {form: folder / f"{form}.onnx" for form in forms}
    for form, path in paths.items():
        export_onnx(featurizer, path, examples=examples, inputs=form, min_agreement=0)
    return paths


def cases_of(kind: str, folder: Path) -> list[Case]:
    """List all items of a kind."""
    if kind == "images":
        return images.all_made(folder, folder / "trap")
    return texts.all_made()


def main(*chosen: str) -> int:
    """Run the command."""
    wrong = 0
    for kind in chosen or FORMS:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            cases = cases_of(kind, folder)
            if kind == "images":
                photos = [np.asarray(images.photo(k, (80, 70))) for k in range(3)]
                featurizer, paths = image_files(folder, photos)
            else:
                featurizer, paths = text_files(folder)
            for form, path in paths.items():
                found = differing((featurizer, load(path, threads=1)), cases)
                wrong += _say(f"{kind}, inputs={form!r}, by load", found)
                if form in {"bytes", "text"}:
                    found = differing_in_the_graph(featurizer, path, form, cases)
                    wrong += _say(f"{kind}, inputs={form!r}, by the graph", found)
    return int(wrong > 0)


def _say(name: str, found: Found) -> int:
    print(f"{name}: {found}", flush=True)
    for what in ("wrong", "crashes", "hangs", "refused", "moved"):
        for item in getattr(found, what)[:25]:
            print(f"    {what}: {item}", flush=True)
    return len(found.wrong)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
