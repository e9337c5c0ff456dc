"""The tail of every network from every main stage, beside the whole network: a table.

    python -m tests.tail_zoo                        # all sources; an hour on two cores
    python -m tests.tail_zoo torchvision            # or timm, images, texts, towers
    python -m tests.tail_zoo torchvision resnet18   # these of a source

Random weights, which are set apart where two items would get the same row. A tail is made only
where it gives the whole network's result to 1e-5, so what the table tells is from where each
network can be run, and why not from elsewhere.
"""

from __future__ import annotations

import atexit
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torchvision
from torchvision.transforms import CenterCrop, Compose, ToTensor

from sklearn_pretrained import backbones
from sklearn_pretrained.exceptions import LayerError
from sklearn_pretrained.layers import plan
from sklearn_pretrained.tails import WatchedNetwork
from sklearn_pretrained.tails._find import nearest
from tests import text_zoo, timm_zoo, tower_zoo, vision_zoo, zoo

_APART = 1e-3
_SIDE = 96
"""Of images in pixels, where a network takes any."""


@dataclass
class Found:
    """From where one network can be run.

    Parameters
    ----------
    stages : int
        Main stages that something lies above.
    refused : dict of str to str
        Those that it cannot be run from, and why.
    trained : list of int
        How many parameters each tail has.
    instead : list of str
        Where it can be run from none of them, the layers that are named instead.
    says_nothing : bool
        Whether two items have the same row whatever the weights, so that equality is no proof.
    """

    stages: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    trained: list[int] = field(default_factory=list)
    instead: list[str] = field(default_factory=list)
    says_nothing: bool = False


def compare(backbone: Any) -> Found:
    """Cut one network at each of its main stages."""
    made = plan(backbone)
    read = made.layers["output" if backbone.has_head else "penultimate"]
    pooling = "mean" if "mean" in read.allowed(["mean"]) else "flatten"
    watched = WatchedNetwork(backbone, [(read, pooling)], torch.device("cpu"))
    found = Found(says_nothing=not _set_apart(watched))
    for name in made.stages:
        layer = made.layers[name]
        if (layer.module, layer.side) == (read.module, read.side):
            continue
        found.stages += 1
        try:
            found.trained.append(len(watched.tail(layer).trained))
        except LayerError as error:
            found.refused[name] = str(error)
    if found.refused and not found.trained:
        found.instead = nearest(watched, made, made.layers[next(iter(found.refused))])
    return found


def _set_apart(watched: WatchedNetwork) -> bool:
    """Give a network weights with which two items have rows of their own; tell whether any do."""
    (layer, _), samples = watched.outputs[0], watched.backbone.example()
    batch = watched.backbone.collate(samples, watched.device, torch.float32)
    for gain in (None, 1.0, 1.8):
        if gain is not None:
            torch.manual_seed(0)
            vision_zoo.spread(watched.network, gain)
        first, second = watched._whole(layer, batch, watched.backbone.mask(batch))[1]
        if float((first - second).norm()) > _APART * float(first.norm()):
            return True
    return False


def _of_torchvision(name: str) -> Any:
    if name.startswith("vit_"):  # of one size of images each, so it is made for smaller ones
        side = _SIDE - _SIDE % int(name.rpartition("_")[2])
        network = torchvision.models.get_model(name, weights=None, image_size=side)
        return backbones.find_image(network, preprocessing=Compose([CenterCrop(side), ToTensor()]))
    return _small(lambda **size: backbones.find_image(name, weights=None, **size), _SIDE)


def _of_timm(family: str) -> Any:
    name = timm_zoo.smallest(family)
    side = timm_zoo.smaller_size(name)
    return _small(lambda **size: backbones.find_image(f"timm/{name}", weights=None, **size), side)


def _small(find: Callable[..., Any], side: int | None) -> Any:
    """Describe a network over small images, which cost less, where it takes any size."""
    try:
        backbone = find(image_size=side)
        plan(backbone)
    except ValueError:
        backbone = find()
    return backbone


def _in_folder(make: Callable[[Path, str], Path], find: Callable[[str], Any]) -> Any:
    def found(family: str) -> Any:
        place = tempfile.mkdtemp()
        atexit.register(shutil.rmtree, place)
        return find(str(make(Path(place) / "tiny", family)))

    return found


SOURCES: dict[str, tuple[Callable[[], Any], Callable[[str], Any]]] = {
    "torchvision": (zoo.names, _of_torchvision),
    "timm": (timm_zoo.families, _of_timm),
    "images": (
        lambda: vision_zoo.FAMILIES,
        _in_folder(vision_zoo.make_folder, backbones.find_image),
    ),
    "texts": (lambda: text_zoo.FAMILIES, _in_folder(text_zoo.make_folder, backbones.find_text)),
    "towers": (lambda: tower_zoo.FAMILIES, _in_folder(tower_zoo.make_folder, backbones.find_text)),
}


def table(source: str, chosen: list[str]) -> Iterator[Found]:
    """Print a line for each network."""
    names, find = SOURCES[source]
    for name in chosen or names():
        started = time.perf_counter()
        try:
            found = compare(find(name))
        except Exception as error:
            found = Found(1, {"*": f"{type(error).__name__}: {str(error).splitlines()[0][:150]}"})
        good = found.stages - len(found.refused)
        took = time.perf_counter() - started
        print(
            f"{source:12} {name:28} {good:3} of {found.stages:3} stages  ({took:.0f} s)", flush=True
        )
        for stage, reason in found.refused.items():
            print(f"{'':41} {stage}: {reason}", flush=True)
        if found.says_nothing:
            print(f"{'':41} two items have the same row, so that nothing was compared", flush=True)
        if found.instead:
            print(f"{'':41} from {', '.join(found.instead)} instead", flush=True)
        yield found


def main(arguments: list[str]) -> int:
    """Print the tables; the exit status counts the networks that cannot be run from anywhere."""
    wrong = 0
    for source in arguments[:1] or SOURCES:
        networks = list(table(source, arguments[1:]))
        wrong += sum(not (one.trained or one.instead) for one in networks)
        fine = sum(not one.refused for one in networks)
        some = sum(bool(one.trained and one.refused) for one in networks)
        other = sum(bool(one.instead) for one in networks)
        print(
            f"{source}: {fine} of {len(networks)} from all their stages, {some} from some, {other} "
            "from other layers alone",
            flush=True,
        )
    return wrong


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
