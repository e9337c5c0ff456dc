"""A plan → the table that users read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, overload

from ..process import need
from ..reporting import lines
from ._plan import OUTPUT, PENULTIMATE, Layer, Plan
from ._planning import plan

_HEADINGS = ("layer", "index", "shape", "width", "cost")


class LayerTable(Sequence[Layer]):
    """The layers of a network, in the order in which a forward pass reaches them.

    Iterate over it to get `Layer` records (``name``, ``shape``, ``cost``, …), print it to see a
    table, or convert it to a DataFrame with `to_frame`.
    """

    def __init__(self, plan: Plan, layers: Sequence[Layer]) -> None:
        self.plan = plan
        self._layers = tuple(layers)

    def __len__(self) -> int:
        return len(self._layers)

    @overload
    def __getitem__(self, index: int) -> Layer: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Layer, ...]: ...
    def __getitem__(self, index: int | slice) -> Layer | tuple[Layer, ...]:
        """Return one layer, or several."""
        return self._layers[index]

    def __iter__(self) -> Iterator[Layer]:
        return iter(self._layers)

    def cells(self) -> list[tuple[str, ...]]:
        """Return the headings and the rows of the table as text."""
        index = {name: str(i) for i, name in enumerate(self.plan.stages)}
        rows = (
            (
                layer.name,
                index.get(layer.name, ""),
                "×".join(map(str, layer.shape)),
                str(_width(layer)),
                f"{layer.cost:.1%}",
            )
            for layer in self
        )
        return [_HEADINGS, *rows]

    def to_frame(self) -> Any:
        """Return the table as a pandas DataFrame."""
        pd = need("pandas", install="pandas", purpose="LayerTable.to_frame")
        index = {name: i for i, name in enumerate(self.plan.stages)}
        return pd.DataFrame(
            {
                "layer": [layer.name for layer in self],
                "index": pd.array([index.get(layer.name) for layer in self], dtype="Int64"),
                "shape": [layer.shape for layer in self],
                "width": [_width(layer) for layer in self],
                "cost": [layer.cost for layer in self],
            }
        )

    def __repr__(self) -> str:
        table = lines(self.cells(), left={0, 2})
        return "\n".join([f"{self.plan.name}: {len(self)} layers", *table])


def _width(layer: Layer) -> int:
    return layer.width("flatten" if layer.layout is None else "avg")


def list_layers(
    model: Any = "mobilenet_v2", *, every: bool = False, **parameters: Any
) -> LayerTable:
    """List the layers of a network that a featurizer can read.

    No weights are loaded and nothing is computed: only the architecture is inspected.

    Parameters
    ----------
    model : str, callable, nn.Module or featurizer, default="mobilenet_v2"
        The network, as in a featurizer's parameter ``model``, or a featurizer.
    every : bool, default=False
        Whether to list every submodule instead of the main stages only.
    **parameters
        Other parameters of the featurizer that affect the architecture, such as ``image_size``,
        ``weights`` or ``preprocessing``.

    Returns
    -------
    LayerTable
        For each layer its name, its index (for an integer ``layer``), the shape of its activation
        for one item, its width after pooling, and its cost: the share of the full forward pass
        that is needed to reach it.

    Examples
    --------
    >>> from sklearn_pretrained import list_layers
    >>> list_layers("resnet18")
    torchvision/resnet18: 7 layers
    layer        index  shape      width    cost
    maxpool          0  64×56×56      64    6.5%
    layer1           1  64×56×56      64   32.0%
    layer2           2  128×28×28    128   54.7%
    layer3           3  256×14×14    256   77.3%
    layer4           4  512×7×7      512  100.0%
    penultimate         512          512  100.0%
    output              1000        1000  100.0%
    """
    from ..backbones import find

    backbone = (
        model.find_backbone() if hasattr(model, "find_backbone") else find(model, **parameters)
    )
    made = plan(backbone)
    also = [name for name in ("projection",) if name in made.layers]
    shown = list(made.layers) if every else [*made.stages, PENULTIMATE, *also, OUTPUT]
    readable = [name for name in dict.fromkeys(shown) if name in made.layers]
    return LayerTable(made, [made.layers[name] for name in readable])
