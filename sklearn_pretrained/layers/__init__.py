"""A network's layers: names, shapes, widths and costs, planned without weights or compute."""

from ._plan import OUTPUT, PENULTIMATE, Layer, Plan
from ._planning import plan
from ._table import LayerTable, list_layers

__all__ = ["OUTPUT", "PENULTIMATE", "Layer", "LayerTable", "Plan", "list_layers", "plan"]
