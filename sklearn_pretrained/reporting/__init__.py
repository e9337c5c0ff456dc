"""What a person is shown: progress, tables as text, the line below a name in diagrams."""

from ._diagram import caption
from ._progress import Progress, bars
from ._text_table import lines

__all__ = [
    "Progress",
    "bars",
    "caption",
    "lines",
]
