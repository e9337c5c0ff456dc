"""What is known of a network before it is built: one line of the table of networks."""

from __future__ import annotations

from dataclasses import dataclass

AT_HAND, TO_FETCH, NO_WEIGHTS = "at hand", "to fetch", ""


@dataclass(frozen=True)
class Entry:
    """One network, as far as it is known before it is built; None where it is not.

    Parameters
    ----------
    name : str
        What ``model`` may be.
    source, family : str
        Who provides it, and the architecture that it belongs to.
    parameters : int or None
    width : int or None
        Of its penultimate features.
    input_size : int or None
        Length of the square that it reads.
    cost : float or None
        Billions of multiply-adds for one image.
    accuracy : float or None
        Share of ImageNet's validation images that its default weights name right, as its source
        published it.
    weights : {"at hand", "to fetch", ""}
        Whether its default weights are on this machine; empty where nobody has any, or where its
        source does not say.
    """

    name: str
    source: str
    family: str = ""
    parameters: int | None = None
    width: int | None = None
    input_size: int | None = None
    cost: float | None = None
    accuracy: float | None = None
    weights: str = NO_WEIGHTS
