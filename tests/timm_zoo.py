"""The smallest network of every family of timm, against timm's own forward.

    python -m tests.timm_zoo                 # every family, each in a process of its own
    python -m tests.timm_zoo convnext eva    # these families
    python -m tests.timm_zoo --here resnet18 # these networks, in this process

Random weights: shapes, layers, channel axes and arithmetic are what is compared here.
"""

from __future__ import annotations

import os
import pickle
import resource
import signal
import sys
import time
import warnings
from typing import Any

import numpy as np
import timm
import torch
from PIL import Image
from sklearn.datasets import load_sample_images

from sklearn_pretrained import PretrainedImageFeaturizer, backbones
from sklearn_pretrained.backbones._skeleton import Weightless
from sklearn_pretrained.backbones._weights import digest_of
from sklearn_pretrained.exceptions import RandomWeightsWarning
from sklearn_pretrained.layers import plan
from sklearn_pretrained.running import eager

TOLERANCE = 1e-5
MEMORY = 6 * 2**30
SECONDS = 300

EXCEPTIONS: dict[str, str] = {
    "coat": (
        "modules for relative positions, which its blocks share, count as stages; their axes "
        "cannot be determined, so pooling is refused there"
    ),
    "deepseek_vit": "412 million parameters take longer than the limit on one core",
    "tnt": (
        "its blocks give the tokens inside each patch first, many rows an image, so that pooling "
        "is refused there; its penultimate features are fine"
    ),
    "visformer": (
        "its random weights are ill-conditioned: float32 lies 3e-5 from float64 in timm itself"
    ),
}
"""Families whose smallest network cannot be read, and why."""

_SMALL = (
    *("test_", "atto", "femto", "pico", "nano", "tiny", "xxs", "xx_small", "xs", "x_small"),
    *("mini", "micro", "small", "little", "lite", "_xt", "_s0", "_s1", "_s2", "_s", "_t0", "_t1"),
    *("_t", "m0", "b0", "_0", "002", "004", "005", "010", "035", "050", "10", "13", "14", "18"),
)
_MOST_BUILT = 4


def families() -> list[str]:
    """List timm's families: the modules that hold its networks."""
    return timm.list_modules()


def smallest(family: str) -> str:
    """Find the network of a family with the fewest parameters, among those with small names."""
    names = timm.list_models(module=family)
    return min(sorted(names, key=_rank)[:_MOST_BUILT], key=_parameters)


def _rank(name: str) -> tuple[int, int]:
    found = [i for i, word in enumerate(_SMALL) if word in name]
    return min(found, default=len(_SMALL)), len(name)


def _parameters(name: str) -> float:
    try:
        with Weightless():
            network = timm.create_model(name)
    except Exception:
        return float("inf")
    return sum(parameter.numel() for parameter in network.parameters())


def smaller_size(name: str) -> int | None:
    """Return an input size that costs little, for a network that takes any."""
    if name.startswith("mobilenetv5"):  # its last stage only fits its own size
        return None
    config = timm.get_pretrained_cfg(name)
    side = config.input_size[1]
    return 128 if not config.fixed_input_size and side > 160 else None


def pictures(count: int = 2) -> list[np.ndarray]:
    """Cut pieces from scikit-learn's sample pictures."""
    whole = load_sample_images().images[0]
    return [np.ascontiguousarray(whole[i * 20 : i * 20 + 300, : 400 + i]) for i in range(count)]


def theirs(network: Any, backbone: Any, images: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Compute what timm's own interface gives."""
    data = timm.data.resolve_data_config(pretrained_cfg=backbone.record.config)
    size = (backbone.preprocessing.crop, backbone.preprocessing.width_crop)
    data["input_size"] = (3, *size)
    transform = timm.data.create_transform(**data, is_training=False)
    x = torch.stack([transform(Image.fromarray(image)) for image in images])
    with torch.inference_mode():
        features = network.forward_features(x)
        return {
            "penultimate": network.forward_head(features, pre_logits=True).flatten(1).numpy(),
            "output": network(x).numpy(),
        }


def _distance(got: np.ndarray, expected: np.ndarray) -> float:
    if got.shape != expected.shape:
        return float("inf")
    norm = np.maximum(np.linalg.norm(expected, axis=1), 1e-12)
    return float((np.linalg.norm(got - expected, axis=1) / norm).max())


def check(name: str) -> list[str]:
    """Hold one network to the contract; return what it breaks."""
    wrong: list[str] = []
    images = pictures()
    arguments = {"weights": None, "image_size": smaller_size(name), "resize": "exact"}
    backbone = backbones.find_image(f"timm/{name}", **arguments)
    try:
        made = plan(backbone)
    except ValueError:  # it only takes the size that it was made for
        arguments["image_size"] = None
        backbone = backbones.find_image(f"timm/{name}", **arguments)
        made = plan(backbone)

    def read(layers: Any, images: list[np.ndarray], **more: Any) -> np.ndarray:
        one = PretrainedImageFeaturizer(
            f"timm/{name}", **arguments, layer=layers, cache=None, device="cpu", **more
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RandomWeightsWarning)
            return one.fit_transform(images)

    reference = backbone.build().eval()
    both = read(["penultimate", "output"], images)
    start = 0
    for layer, expected in theirs(reference, backbone, images).items():
        error = _distance(both[:, start : start + expected.shape[1]], expected)
        start += expected.shape[1]
        if not error <= TOLERANCE:
            wrong.append(f"{layer} differs by {error:.1e}")
        if layer == "penultimate" and not np.abs(expected).max() > 0:  # some heads begin at zero
            wrong.append(f"{layer} is zero")
    stages = list(made.stages)
    if len(stages) < 3:
        wrong.append(f"only {len(stages)} stages")
    wrong += [f"axes of {one} unknown" for one in stages if made.layers[one].layout is None]
    wrong += seen_as_planned(reference, backbone, made, images)
    chosen = stages[len(stages) // 2]
    if made.layers[chosen].layout is not None:
        together = read(chosen, images, batch_size=2)
        alone = read(chosen, images[:1], batch_size=1)
        if not _distance(together[:1], alone) <= TOLERANCE:
            wrong.append(f"{chosen} depends on its batch")
    wrong += pickled(name, backbone, arguments, chosen, images[:1])
    eager.unload()
    return wrong


def pickled(
    name: str, backbone: Any, arguments: dict[str, Any], layer: str, images: list[np.ndarray]
) -> list[str]:
    """Compare an estimator with its pickle, and the weights before and after."""
    wrong = []
    one = PretrainedImageFeaturizer(f"timm/{name}", **arguments, layer=layer, pooling="max")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RandomWeightsWarning)
        one.fit(images)
    loaded = pickle.loads(pickle.dumps(one))
    if one.weights_digest_ != loaded.weights_digest_ or len(pickle.dumps(one)) > 20_000:
        wrong.append("pickle")
    if not np.array_equal(one.transform(images), loaded.transform(images)):
        wrong.append("a pickle gives other rows")
    return wrong


def seen_as_planned(network: Any, backbone: Any, made: Any, images: list[np.ndarray]) -> list[str]:
    """Compare the main stages' shapes with a real forward, and stop early at the first."""
    from sklearn_pretrained.taps._taps import Tap, read

    before = digest_of(network)
    x = backbone.collate(backbone.prepare(images), torch.device("cpu"), torch.float32)
    deepest = []

    def call(net: Any) -> Any:
        return backbone.call(net, x)

    layers = [made.layers[name] for name in made.stages]
    taps = [
        Tap(one.name, one.module, one.side, one.calls, lambda t: tuple(t.shape[1:]))
        for one in layers
    ]
    wrong = []
    with torch.inference_mode():
        shapes = read(network, call, taps)
        handle = network.register_forward_hook(lambda *_: deepest.append(1))
        read(network, call, taps[:1])
        handle.remove()
    if deepest:
        wrong.append("runs to the end for its first stage")
    wrong += [
        f"{one.name} has shape {shapes[one.name]}, planned {one.shape}"
        for one in layers
        if shapes[one.name] != one.shape
    ]
    if digest_of(network) != before:
        wrong.append("a forward changed the weights")
    return wrong


def report(name: str) -> bool:
    """Print one line."""
    started = time.perf_counter()
    try:
        wrong = check(name)
    except Exception as error:
        wrong = [f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"]
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    took = time.perf_counter() - started
    verdict = "; ".join(wrong) or "equal"
    print(f"{name:38} {verdict}  ({took:.0f} s, {most:.1f} GB)", flush=True)
    return not wrong


def alone(family: str) -> bool:
    """Check a family in a process with limited memory and time."""
    name = smallest(family)
    print(f"{family:28} ", end="", flush=True)
    child = os.fork()
    if child == 0:
        torch.set_num_threads(1)
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        signal.alarm(SECONDS)
        fine = False
        try:
            fine = report(name)
        finally:
            os._exit(not fine)
    status = os.waitpid(child, 0)[1]
    fine = status == 0
    if os.WIFSIGNALED(status):
        print(f"{name:38} ended by {signal.Signals(os.WTERMSIG(status)).name}")
    if not fine:
        print(f"{'':28} {EXCEPTIONS.get(family, 'no reason is known')}", flush=True)
    return fine


def main(arguments: list[str]) -> int:
    """Print the table; the exit status counts those that differ for no known reason."""
    if arguments[:1] == ["--here"]:
        return sum(not report(name) for name in arguments[1:])
    chosen = arguments or families()
    wrong = [family for family in chosen if not alone(family)]
    print(f"{len(chosen) - len(wrong)} of {len(chosen)}")
    return sum(family not in EXCEPTIONS for family in wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
