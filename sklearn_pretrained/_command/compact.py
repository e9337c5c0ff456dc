"""A folder or an address of features → the same rows in fewer files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = (
    ("compact features/", "small files become large ones, while others read and write"),
    ("compact s3://bucket/features", "also in an object store"),
)


def command(
    folder: Annotated[
        str, typer.Argument(help="The folder of a shared cache, or an address such as s3://….")
    ],
    *,
    rows_per_file: Annotated[
        int, typer.Option(min=1, help="Most rows of a file, which has at most 256 MiB.")
    ] = 65536,
) -> None:
    """Merge the small files of a shared cache into larger ones, which are faster to open.

    Others can read and write meanwhile. If it is killed, no row is lost; run it again.
    """
    from ..cache import SharedFeatureCache
    from ..cache.segments._address import is_address

    if not is_address(folder) and not Path(folder).expanduser().is_dir():
        raise FileNotFoundError(f"There is no folder {folder!r}.")
    cache = SharedFeatureCache(folder)
    before = cache.stats()["files"]
    cache.compact(rows_per_file)
    after = cache.stats()
    typer.echo(f"{after['rows']:,} rows in {after['files']:,} files; there were {before:,}.")
