"""A pickled pipeline and examples → an ONNX file that gives its answers."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ._items import items_in

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
    tolerance: Annotated[
        float, typer.Option(help="Allowed difference of a row, relative to its norm.")
    ] = 1e-4,
) -> None:
    """Write a fitted pipeline as one ONNX file, proven on examples."""
    import joblib

    from .. import export_onnx

    found = joblib.load(pipeline)
    X = [item for _, item in items_in(examples, _kind(found))]
    facts = export_onnx(found, path, examples=X, tolerance=tolerance)
    for entry in facts["report"]:
        far = f"{entry['largest']:.1e} away, {entry['allowed']:.0e} allowed"
        typer.echo(f"{entry['step']} {entry.get('output', '')}: {far}")
    typer.echo(f"{path} gives the pipeline's answers on {len(X)} examples.")


def _kind(pipeline: Any) -> str:
    """Say what a pipeline reads, by the class of its featurizer."""
    from .. import PretrainedImageFeaturizer, PretrainedTextFeaturizer

    first = pipeline[0] if hasattr(pipeline, "steps") else pipeline
    first = getattr(first, "featurizer_", first)  # of what was trained further
    if isinstance(first, PretrainedImageFeaturizer):
        return "images"
    return "texts" if isinstance(first, PretrainedTextFeaturizer) else "rows"
