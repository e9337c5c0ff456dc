"""A pickled pipeline and examples → an ONNX file that gives its answers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from ._items import items_in

FOLDERS = "folders"
EXAMPLES = (
    ("export pipeline.joblib photos.onnx --examples photos/", "checked on the images of a folder"),
    (
        "export pipeline.joblib reviews.onnx --examples reviews.txt",
        "checked on the lines of a file",
    ),
)


def command(
    pipeline: Annotated[
        str,
        typer.Argument(
            help="A fitted pipeline that joblib wrote. A pickle can run code: open only your own."
        ),
    ],
    path: Annotated[str, typer.Argument(help="The file to write, such as model.onnx.")],
    *,
    examples: Annotated[
        list[str],
        typer.Option(
            help="Items that the file is checked on: images, folders and quoted patterns; files "
            "with a text in each line; .npy files of rows. May be given several times."
        ),
    ],
    y: Annotated[
        str | None,
        typer.Option(
            help="Targets of the examples: a file with one in each line, or 'folders', which takes "
            "the names of the images' folders."
        ),
    ] = None,
    tolerance: Annotated[
        float, typer.Option(help="Allowed difference of a row, relative to its norm.")
    ] = 1e-4,
    inputs: Annotated[
        str, typer.Option(help="What the graph reads: prepared, pixels, bytes or text.")
    ] = "prepared",
    weights: Annotated[
        str, typer.Option(help="How weights are stored: float32, float16 or int8.")
    ] = "float32",
    min_agreement: Annotated[
        float,
        typer.Option(help="Share of examples that must keep their label, where much is rounded."),
    ] = 0.99,
    min_score: Annotated[
        float | None,
        typer.Option(help="Least score on the examples and y with which the file is written."),
    ] = None,
) -> None:
    """Write a fitted pipeline as one ONNX file, proven on examples."""
    import joblib

    from .. import export_onnx

    found = joblib.load(pipeline)
    names, X = zip(*items_in(examples, _kind(found)), strict=True)
    facts = export_onnx(
        found,
        path,
        examples=list(X),
        y=None if y is None else _targets(y, names, found),
        tolerance=tolerance,
        inputs=inputs,
        weights=weights,
        min_agreement=min_agreement,
        min_score=min_score,
    )
    for entry in facts["report"]:
        typer.echo(_line(entry))
    typer.echo(f"{path} gives the pipeline's answers on {len(X)} examples.")


def _line(entry: dict[str, Any]) -> str:
    """Say what the report says of one output."""
    name = " ".join(filter(None, (entry["step"], entry.get("output"))))
    if "score" in entry:
        return (
            f"{name}: score {entry['score']:.4g}, the pipeline's {entry['score_of_pipeline']:.4g}"
        )
    said = [f"{entry['largest']:.1e} away"]
    if "agreement" in entry:
        said.append(f"{entry['agreement']:.1%} of the answers agree")
    elif entry["allowed"] is not None:
        said.append(f"{entry['allowed']:.0e} allowed")
    return f"{name}: {', '.join(said)}"


def _targets(y: str, names: Any, pipeline: Any) -> Any:
    """Read targets, of the type that the pipeline predicts."""
    if y == FOLDERS:
        words = [Path(name).parent.name for name in names]
    else:
        words = Path(y).read_text("utf-8").splitlines()
    classes = getattr(pipeline, "classes_", None)
    if classes is None:
        return np.array(words, dtype=float)
    known = {str(one): one for one in np.unique(classes)}
    for i, word in enumerate(words):
        if word not in known:
            raise ValueError(
                f"Target {i} of --y is {word!r}, which is none of the pipeline's classes: "
                f"{', '.join(list(known)[:10])}. Give each example the class that it has there."
            )
    return np.array([known[word] for word in words])


def _kind(pipeline: Any) -> str:
    """Say what a pipeline reads, by the class of its featurizer."""
    from .. import PretrainedImageFeaturizer, PretrainedTextFeaturizer

    first = pipeline[0] if hasattr(pipeline, "steps") else pipeline
    first = getattr(first, "featurizer_", first)  # of what was trained further
    if isinstance(first, PretrainedImageFeaturizer):
        return "images"
    return "texts" if isinstance(first, PretrainedTextFeaturizer) else "rows"
