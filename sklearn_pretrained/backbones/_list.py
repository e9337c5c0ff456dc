"""Sources → a searchable table of the networks that `model` may name; none of them is built."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from typing import Any, overload

from ..process import need
from ..reporting import lines
from ._entry import Entry
from ._sources import Source, find_source, others

_HEADINGS = (
    *("name", "source", "family", "parameters", "width", "input size", "GFLOP", "accuracy"),
    "weights",
)


class BackboneTable(Sequence[str]):
    """Names of networks, with the known properties of each.

    Iterate over it to get the names, print it to see a table, or convert it to a DataFrame with
    `to_frame`. The records are in ``entries``.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = tuple(entries)

    def __len__(self) -> int:
        return len(self.entries)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> BackboneTable: ...
    def __getitem__(self, index: int | slice) -> str | BackboneTable:
        """Return one name, or a shorter table."""
        if isinstance(index, slice):
            return BackboneTable(self.entries[index])
        return self.entries[index].name

    def __iter__(self) -> Iterator[str]:
        return (entry.name for entry in self.entries)

    def __contains__(self, name: object) -> bool:
        return any(entry.name == name for entry in self.entries)

    def to_frame(self) -> Any:
        """Return the table as a pandas DataFrame, with one row per network."""
        pd = need("pandas", install="pandas", purpose="BackboneTable.to_frame")
        return pd.DataFrame(
            {
                "name": list(self),
                "source": [entry.source for entry in self.entries],
                "family": [entry.family for entry in self.entries],
                "parameters": pd.array([e.parameters for e in self.entries], dtype="Int64"),
                "width": pd.array([entry.width for entry in self.entries], dtype="Int64"),
                "input_size": pd.array([e.input_size for e in self.entries], dtype="Int64"),
                "cost": pd.array([entry.cost for entry in self.entries], dtype="Float64"),
                "accuracy": pd.array([e.accuracy for e in self.entries], dtype="Float64"),
                "weights": [entry.weights for entry in self.entries],
            }
        )

    def cells(self) -> list[tuple[str, ...]]:
        """Return the headings and the rows of the table as text."""
        return [_HEADINGS, *map(_cells, self.entries)]

    def __repr__(self) -> str:
        return "\n".join([f"{len(self)} networks", *lines(self.cells(), left={0, 1, 2, 8})])


def _cells(entry: Entry) -> tuple[str, ...]:
    cells = ["" if value is None else value for value in astuple(entry)]
    if entry.parameters is not None:
        cells[3] = f"{entry.parameters / 1e6:.1f} M"
    if entry.cost is not None:
        cells[6] = f"{entry.cost:.2f}"
    if entry.accuracy is not None:
        cells[7] = f"{entry.accuracy:.3f}"
    return tuple(map(str, cells))


def list_backbones(search: str = "", *, source: str | None = None) -> BackboneTable:
    """List the image networks that can be passed as ``model``.

    No network is built, loaded or downloaded.

    Parameters
    ----------
    search : str, default=""
        Words that a name, source or family must contain.
    source : str, default=None
        Restrict the list to one source: ``"torchvision"``, ``"timm"``, or a registered one. None
        lists all sources. The thousand networks of timm are included only if timm is installed
        and ``search`` is given.

    Returns
    -------
    BackboneTable
        For each network its name, source, family, number of parameters, width of its penultimate
        features, input size, cost of one image, accuracy on ImageNet's validation images, and
        whether its weights are on this machine ("at hand") or have to be downloaded. Values that
        are unknown before a network is built are empty. torchvision publishes accuracies with its
        weights; the timm package does not contain any.

    See Also
    --------
    register_backbone : Register networks of your own under names.
    list_layers : List the layers of one network.

    Examples
    --------
    >>> from sklearn_pretrained import list_backbones
    >>> list(list_backbones("vit", source="torchvision"))
    ['maxvit_t', 'vit_b_16', 'vit_b_32', 'vit_h_14', 'vit_l_16', 'vit_l_32']
    >>> list_backbones("mobilenet_v2", source="torchvision")
    1 networks
    name          source       family       parameters  width  input size  GFLOP  accuracy  weights
    mobilenet_v2  torchvision  mobilenetv2       3.5 M   1280         224   0.30     0.719  at hand
    """
    words = search.lower().split()
    found = [
        entry
        for one in _sources(source, searching=bool(words))
        for entry in one.entries()
        if all(word in f"{entry.name} {entry.source} {entry.family}".lower() for word in words)
    ]
    return BackboneTable(found)


def _sources(source: str | None, *, searching: bool) -> list[Source]:
    if source is not None:
        one = find_source(source)
        if one is None:
            known = ["torchvision", "timm", *(other.name for other in others())]
            raise ValueError(
                f"source={source!r} is not a known source of networks; choose one of "
                f"{', '.join(known)}. Use register_backbone to add one."
            )
        return [one]
    with_timm = searching and importlib.util.find_spec("timm") is not None
    built_in = map(find_source, ["torchvision", *(["timm"] if with_timm else [])])
    return [*(one for one in built_in if one is not None), *others()]
