"""Examples and an opened file → how far its own decoder is from Pillow, and what that changes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from ..exported import ExportedPipeline
from ..inputs import read_images
from ._agreement import agreement, answer_of, refuse_below
from ._resizing import PREPARED

Facts = dict[str, Any]


def check_decoder(
    runtime: ExportedPipeline, examples: Any, image_shape: Any, least: float
) -> Facts:
    """Send files through the graph as other programs do, and compare them with Pillow's pixels.

    Parameters
    ----------
    runtime : ExportedPipeline
    examples : array-like of items
        Those that are JPEG or PNG files are sent as they are, others as a JPEG of their pixels.
    image_shape : sequence of int or None
        Of one image, where X is a table of flattened ones.
    least : float
        The agreement that is asked for.
    """
    name = answer_of(runtime)
    found, wanted, unread, farthest, why = [], [], 0, 0, ""
    for file in _files(examples, image_shape):
        (sample,) = runtime.samples([file])
        prepared = runtime.tensor(sample, PREPARED)
        try:
            decoded = runtime.tensor(file, PREPARED)
        except Exception as error:  # the graph refuses what it would decode otherwise
            unread, why = unread + 1, why or f" (the first: {error})".replace("\n", " ")
            continue
        farthest = max(farthest, int(np.abs(decoded.astype(int) - prepared).max()))
        found.append(runtime.outputs([file], name)[name][0])
        wanted.append(runtime.outputs([sample], name)[name][0])
    agreed = agreement(np.asarray(found), np.asarray(wanted)) if found else 0.0
    agreed *= len(found) / max(1, len(found) + unread)
    refuse_below(
        least,
        agreed,
        f"The decoder of onnxruntime-extensions gives pixels up to {farthest} grey levels away "
        f"from Pillow's, and refuses {unread} of {unread + len(found)} files{why}",
        "Use inputs='pixels', and decode in the program around the file",
    )
    return {
        "step": "decoder",
        "output": name,
        "largest": farthest,
        "allowed": 255,
        "agreement": agreed,
        "files": len(found),
        "refused": unread,
    }


def _files(examples: Any, image_shape: Any) -> Iterator[bytes]:
    items = read_images(examples, image_shape=image_shape)
    for i in range(len(items)):
        file = items.file(i)
        if file is None or not file.startswith((b"\xff\xd8\xff", b"\x89PNG")):
            buffer = io.BytesIO()
            Image.fromarray(items.load(i)).save(buffer, "JPEG")
            file = buffer.getvalue()
        yield file
