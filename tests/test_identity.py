"""Preprocessing of the user's own is known by what it does: no row is served for another."""

from __future__ import annotations

import functools
import subprocess
import sys
import textwrap
import types

import numpy as np
import pytest
import torch
from torchvision.models import MobileNet_V2_Weights, ResNet50_Weights
from torchvision.transforms import Compose, InterpolationMode, Lambda, Normalize, Resize, v2

from sklearn_pretrained import PretrainedImageFeaturizer
from sklearn_pretrained.backbones.identity import identity

from .conftest import make_convnet, to_tensor


class Scaled:
    """A transform that stores a number, and prints as any other of its kind."""

    def __init__(self, factor):
        self.factor = factor

    def __call__(self, image):
        return to_tensor(image) * self.factor


class Slotted:
    """A transform without a dictionary."""

    __slots__ = ("factor",)

    def __init__(self, factor):
        self.factor = factor

    def __call__(self, image):
        return to_tensor(image) * self.factor


def scaled(factor):
    def prepare(image):
        return to_tensor(image) * factor

    return prepare


def with_default(factor):
    def prepare(image, factor=factor):
        return to_tensor(image) * factor

    return prepare


def with_a_global(factor):
    return types.FunctionType(
        compile("lambda image: to_tensor(image) * FACTOR", "<user>", "eval").co_consts[0],
        {"to_tensor": to_tensor, "FACTOR": factor},
    )


def written_anew(factor):
    """Give the class that a user changed and ran again in a notebook."""
    space = {}
    exec(f"class Prepare:\n    def __call__(self, image):\n        return image * {factor}", space)
    return space["Prepare"]()


MAKERS = {
    "object": Scaled,
    "object with slots": Slotted,
    "closure": scaled,
    "default": with_default,
    "global": with_a_global,
    "a class run again": written_anew,
    "partial": lambda factor: functools.partial(scaled, factor),
    "method": lambda factor: Scaled(factor).__call__,
    "lambda in a chain": lambda factor: Compose([Lambda(lambda image: image * factor)]),
    "array": lambda factor: Scaled(np.full(3, factor)),
    "long integers": lambda factor: Scaled(torch.tensor(2**40 + factor)),
    "set": lambda factor: Scaled({"a", "b", factor}),
    "dtype": lambda factor: v2.ToDtype([torch.uint8, torch.float32, torch.int16][factor]),
    "normalisation": lambda factor: Normalize([factor], [1]),
    "interpolation": lambda factor: Resize(8, list(InterpolationMode)[factor]),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_equal_callables_share_an_identity_and_others_do_not(make):
    """Whatever holds the number that decides: an attribute, a closure, a default, a global."""
    assert identity(make(1)) == identity(make(1))
    assert identity(make(1)) != identity(make(2))


def test_using_a_transform_does_not_change_its_identity(patches):
    """Presets of torchvision's weights are the ones that most people have."""
    from PIL import Image

    preset = MobileNet_V2_Weights.IMAGENET1K_V2.transforms()
    before = identity(preset)
    preset(Image.fromarray(patches[0]))

    assert identity(preset) == before
    assert identity(MobileNet_V2_Weights.IMAGENET1K_V2.transforms()) == before
    assert identity(ResNet50_Weights.IMAGENET1K_V1.transforms()) != before


def test_what_cannot_be_looked_into_is_unlike_all_else():
    """Nobody knows what a generator will give next; it stays the same for itself."""
    one, other = (Scaled(number for number in range(3)) for _ in range(2))

    assert identity(one) == identity(one)
    assert identity(one) != identity(other)
    assert (
        identity(one).because == "generator test_what_cannot_be_looked_into_is_unlike_all_else"
        ".<locals>.<genexpr>.<genexpr>"
    )


def test_a_part_that_refers_to_its_whole_ends():
    """A loop is gone through once."""
    one, other = Scaled(1), Scaled(1)
    one.self, other.self = one, other

    assert identity(one) == identity(other)


def test_other_processes_find_the_same_identity():
    """Sets have another order there, and objects other addresses."""
    program = textwrap.dedent("""
        from torchvision.models import MobileNet_V2_Weights
        from torchvision.transforms import Compose, Lambda
        from sklearn_pretrained.backbones.identity import identity

        scale, names = 3, {"a", "b", "c", "d"}

        def prepare(image):
            return [image * scale for name in names]

        preset = MobileNet_V2_Weights.IMAGENET1K_V2.transforms()
        print(identity(Compose([prepare, Lambda(lambda image: image / scale), preset])))
    """)
    command = [sys.executable, "-c", program]
    found = [subprocess.run(command, capture_output=True, check=True).stdout for _ in range(2)]

    assert found[0] == found[1] != b""


def test_rows_of_one_preprocessing_are_not_served_for_another(patches):
    """The cache is on, and the two objects differ in one number."""
    network = make_convnet()
    plain, double = (
        PretrainedImageFeaturizer(network, preprocessing=Scaled(factor)).fit_transform(patches[:2])
        for factor in (1.0, 2.0)
    )

    assert np.abs(plain - double).max() > 1e-3


def test_a_packages_class_that_is_changed_after_a_look_is_looked_at_again(monkeypatch):
    """A method put into it, one of other code, and back again."""
    from torch import nn

    def forward(self, x):
        return x

    def other(self, x):
        return x + 1

    network = nn.ReLU()
    before = identity(network).key
    assert identity(network).key == before
    with monkeypatch.context() as changed:
        changed.setattr(nn.ReLU, "forward", forward)
        put_in = identity(network).key
    with monkeypatch.context() as changed:
        changed.setattr(nn.ReLU.forward, "__code__", other.__code__)
        other_code = identity(network).key
    assert len({before, put_in, other_code}) == 3
    assert identity(network).key == before
