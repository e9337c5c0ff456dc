"""All of torchvision's classifiers, read with and without the fast paths at many taps.

Run it as ``python -m tests.fast_zoo`` (minutes), or with names of networks.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from sklearn_pretrained import backbones
from sklearn_pretrained.layers._trace import trace
from sklearn_pretrained.running.eager.fast import speed_up
from sklearn_pretrained.taps._taps import Tap, read

TOLERANCE = 1e-5
CPU = torch.device("cpu")
_FIXED = ("vit_", "maxvit", "inception")
_ZERO_MEANS_NO_SIGNAL = 1e-30


def shake(network: nn.Module) -> nn.Module:
    """Give batch norms the statistics of a trained network, and zeroed weights some value."""
    seeded = torch.Generator().manual_seed(1)

    def uniform(like: Tensor, low: float, high: float) -> Tensor:
        return torch.rand(like.shape, generator=seeded) * (high - low) + low

    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.copy_(uniform(module.running_mean, -0.2, 0.2))
                module.running_var.copy_(uniform(module.running_var, 0.5, 2.0))
                module.weight.copy_(uniform(module.weight, 0.5, 1.5))
                module.bias.copy_(uniform(module.bias, -0.2, 0.2))
            elif isinstance(module, nn.Linear) and not module.weight.any():
                module.weight.copy_(uniform(module.weight, -0.1, 0.1))
    return network.eval().requires_grad_(False)


def pair(name: str) -> tuple[nn.Module, nn.Module, Tensor]:
    """Return a network as it is, the same sped up, and two images."""
    size = None if name.startswith(_FIXED) else 96
    backbone = backbones.find(name, weights=None, image_size=size)
    plain = shake(backbone.build())
    batch = backbone.collate(backbone.example(), CPU, torch.float32)
    tame = backbone.is_tame
    fast = speed_up(plain, CPU, torch.float32, lambda network: network(batch), tame=tame)
    return plain, fast, batch


def read_one(network: nn.Module, batch: Tensor, *taps: tuple[str, str]) -> list[Tensor]:
    """Read (submodule, side) pairs in one forward."""
    wanted = [Tap(f"{n}:{side}", n, side, 1, torch.clone) for n, side in taps]
    with torch.inference_mode():
        found = read(network, lambda net: net(batch), wanted)
    return [found[f"{n}:{side}"] for n, side in taps]


def error(expected: Tensor, got: Tensor) -> float:
    """Return the relative error."""
    norm = float(expected.double().norm())
    difference = float((expected.double() - got.double()).norm())
    return difference / norm if norm > _ZERO_MEANS_NO_SIGNAL else difference


def taps_of(network: nn.Module, batch: Tensor) -> list[tuple[str, str]]:
    """Choose taps all over a network: each kind of submodule, early, in the middle and late."""
    seen = trace(copy.deepcopy(network).to("meta"), lambda net: net(batch.to("meta")), costs=False)
    by_kind: dict[str, list[str]] = {}
    for visit in seen.visits:
        by_kind.setdefault(type(visit.module).__name__, []).append(visit.name)
    chosen = {}
    for names in by_kind.values():
        for name in (names[0], names[len(names) // 2], names[-1]):
            chosen[name] = None
    return [(name, "output") for name in chosen] + [
        (name, "input")
        for kind in ("BatchNorm2d", "ReLU", "SiLU", "Hardswish")
        for name in by_kind.get(kind, [])[:1]
    ]


def compare(name: str) -> Iterator[tuple[str, str, float]]:
    """Read every chosen tap alone and all together, both ways; yield the errors."""
    plain, fast, batch = pair(name)
    taps = taps_of(plain, batch)
    expected = read_one(plain, batch, *taps)
    together = read_one(fast, batch, *taps)
    for (module, side), one, other in zip(taps, expected, together, strict=True):
        yield f"{module}:{side}", "together", error(one, other)
    for tap, one in list(zip(taps, expected, strict=True))[:: max(1, len(taps) // 8)]:
        yield f"{tap[0]}:{tap[1]}", "alone", error(one, read_one(fast, batch, tap)[0])
    with torch.inference_mode():
        yield "network", "alone", error(plain(batch), fast(batch))


def main(names: list[str]) -> int:
    """Print one line for each network; the exit status counts those that differ."""
    different = 0
    for name in names or backbones.torchvision.names():
        rows = list(compare(name))
        worst = max(rows, key=lambda row: row[2])
        fine = worst[2] <= TOLERANCE and len(rows) >= 5
        different += not fine
        print(
            f"{name:20} {'equal' if fine else 'DIFFERS'} {len(rows)} readings,"
            f" worst {worst[2]:.1e} {worst[0]} {worst[1]}",
            flush=True,
        )
    return different


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
