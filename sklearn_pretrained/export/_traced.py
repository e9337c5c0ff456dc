"""What torch says of a network that it cannot trace → one error in words."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from typing import Any


@contextmanager
def refused_in_words(network: Any) -> Iterator[None]:
    """Name the network and torch's reason, and keep the printed graph of it off the screen.

    Parameters
    ----------
    network : Network
    """
    heard, graphs = io.StringIO(), []
    try:
        with redirect_stderr(heard):
            yield
    except MemoryError:
        raise
    except Exception as error:
        first = list(_chain(error))[-1]
        graphs = [str(getattr(one, "partial_fx_graph", "")) for one in _chain(error)]
        said = str(first).strip().partition("\n")[0][:300] or type(first).__name__
        raise TypeError(
            f"{network.name} cannot be traced by torch.export: {said} A forward that decides by "
            "the values of its tensors, or that only takes one length or number of items, is no "
            "single graph. Use another network. Nothing was written."
        ) from error
    finally:
        told = heard.getvalue()
        for graph in filter(None, graphs):
            told = told.replace(graph, "")
        sys.stderr.write(told.strip("\n") and told)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
