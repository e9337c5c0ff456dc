"""A module that was looked at is not read again, unless anything in it has changed."""

from __future__ import annotations

import functools
import gc
import sys
import types
import weakref
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_pretrained.backbones._glanced import Glanced
from sklearn_pretrained.backbones.identity import _functions
from sklearn_pretrained.backbones.own._network import Given
from sklearn_pretrained.backbones.own._unmoved import unmoved

FACTOR = 2.0
HELPERS = types.SimpleNamespace(power=2)


class Sizes:
    """Has a dictionary."""

    def __init__(self, size):
        self.size = size


class Slotted:
    """Has no dictionary."""

    __slots__ = ("size",)

    def __init__(self, size):
        self.size = size


def scaled(factor):
    def scale(x, more=1.0, *, offset=0.0):
        return x * factor * more + offset

    return scale


class Net(nn.Module):
    """Reads all that a module can hold."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.norm = nn.BatchNorm1d(4)
        self.number, self.zero, self.pairs = 3.0, 0.0, (1, 2.0)
        self.numbers = [1, 2, [3]]
        self.pair = (Sizes(1), ([1], 2))
        self.named = {"a": 1, "b": {"c": 2}}
        self.ordered = OrderedDict(a=1, b=2)
        self.chosen = {1, 2}
        self.held = Sizes(Sizes(1))
        self.slotted = Slotted(1)
        self.scale = scaled(2.0)
        self.partial = functools.partial(scaled(3.0), more=2.0)

    def forward(self, x):
        return self.scale(self.norm(self.linear(x))) * FACTOR**HELPERS.power

    def unused(self):
        return 1


def put(holder, name, value):
    def change(net, patch):
        of = holder(net)
        if isinstance(of, dict | list):
            patch.setitem(of, name, value)
        else:
            patch.setattr(of, name, value, raising=False)

    return change


def do(something):
    return lambda net, _patch: something(net)


def other_code(net, patch):
    patch.setattr(nn.Linear.forward, "__code__", (lambda self, x: x).__code__)


def other_attributes(net, _patch):
    net.held.__dict__ = {"size": Sizes(2)}


def renamed(net, _patch):
    net.named["z"] = net.named.pop("a")


CHANGES = {
    "an attribute": put(lambda net: net, "number", 4.0),
    "an equal number of another type": put(lambda net: net, "number", 3),
    "a zero of another sign": put(lambda net: net, "zero", -0.0),
    "an equal tuple": put(lambda net: net, "pairs", (True, 2.0)),
    "an attribute that was not there": put(lambda net: net.linear, "more", 1),
    "an item of a list": do(lambda net: net.numbers[2].append(4)),
    "a longer list": do(lambda net: net.numbers.append(4)),
    "a list in a tuple": do(lambda net: net.pair[1][0].append(2)),
    "an object in a tuple": put(lambda net: net.pair[0], "size", 2),
    "a value in a dictionary": put(lambda net: net.named["b"], "c", 3),
    "a value under another name": renamed,
    "the order of a dictionary": do(lambda net: net.ordered.move_to_end("a")),
    "a set": do(lambda net: net.chosen.add(3)),
    "an object's attribute": put(lambda net: net.held.size, "size", 2),
    "an object's attributes, as a whole": other_attributes,
    "an object's attributes, in an equal dictionary": do(
        lambda net: setattr(net.held, "__dict__", dict(vars(net.held)))
    ),
    "a slot": do(lambda net: setattr(net.slotted, "size", 2)),
    "an object's class": do(lambda net: setattr(net.norm, "__class__", nn.BatchNorm2d)),
    "what a function has captured": do(
        lambda net: setattr(net.scale.__closure__[0], "cell_contents", 4.0)
    ),
    "a default": do(lambda net: setattr(net.scale, "__defaults__", (2.0,))),
    "a default of a keyword": do(lambda net: net.scale.__kwdefaults__.update(offset=1.0)),
    "a function's code": do(
        lambda net: setattr(net.scale, "__code__", scaled(1).__code__.replace(co_name="x"))
    ),
    "a function's attribute": do(lambda net: setattr(net.scale, "more", 1)),
    "what a partial calls with": do(lambda net: net.partial.keywords.update(more=3.0)),
    "a global": put(lambda net: globals(), "FACTOR", 3.0),
    "a global's attribute": put(lambda net: HELPERS, "power", 3),
    "a method of the class": put(lambda net: Net, "forward", lambda self, x: x),
    "a method that the class had not": put(lambda net: Net, "more", lambda self: 1),
    "a method of a package's class": put(lambda net: nn.Linear, "forward", lambda self, x: x),
    "the code of a package's method": other_code,
    "what a package's class had not": put(lambda net: nn.Linear, "__getattr__", lambda self, n: 1),
    "what a module calls by a class's name": put(lambda net: nn.modules.linear, "Linear", Sizes),
    "the module that a class names": put(lambda net: nn.Linear, "__module__", __name__),
    "where a class's module lies": put(lambda net: nn.modules.linear, "__file__", __file__),
    "the module of a name": put(lambda net: sys.modules, nn.Linear.__module__, types),
    "a method of one object": put(lambda net: net.linear, "forward", lambda x: x),
    "a hook": do(lambda net: net.linear.register_forward_hook(lambda *_: None)),
    "a hook before": do(lambda net: net.register_forward_pre_hook(lambda *_: None)),
    "a submodule": put(lambda net: net, "linear", nn.Linear(4, 4)),
    "a submodule more": do(lambda net: net.add_module("more", nn.ReLU())),
    "a weight": put(lambda net: net.linear, "weight", nn.Parameter(torch.zeros(4, 4))),
    "a buffer": do(lambda net: net.register_buffer("more", torch.zeros(1))),
    "a buffer that is not saved": do(lambda net: net.norm._non_persistent_buffers_set.add("x")),
    "a hook on the state": do(lambda net: net._register_state_dict_hook(lambda *_: None)),
    "an attribute of a weight": do(lambda net: setattr(net.linear.weight, "scale", 2)),
    "all attributes": do(lambda net: setattr(net, "__dict__", dict(vars(net)))),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_is_seen(what, monkeypatch):
    """Whatever it is that has changed, the module is read again."""
    net = Net()
    Given(net).identity  # noqa: B018  looks at it
    assert unmoved(net) is not None
    CHANGES[what](net, monkeypatch)

    assert unmoved(net) is None


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [(nn.Linear, "__qualname__", "Sizes"), (Net, "__bases__", (nn.Flatten,))],
)
def test_another_name_of_a_class_and_other_bases_are_seen(kind, name, value):
    """What no dictionary holds of a class is compared, too."""
    net = Net()
    Given(net).identity  # noqa: B018  looks at it
    before = getattr(kind, name)
    setattr(kind, name, value)
    try:
        assert unmoved(net) is None
    finally:
        setattr(kind, name, before)


def test_whose_a_class_is_is_not_worked_out_again(monkeypatch):
    """That its module holds it still is enough, however many layers are of a kind."""
    net = nn.Sequential(*(nn.Linear(2, 2) for _ in range(5)))
    Given(net).identity  # noqa: B018  looks at it
    looked = []
    told = _functions.is_packages_class
    monkeypatch.setattr(
        _functions, "is_packages_class", lambda kind: looked.append(kind) or told(kind)
    )

    assert unmoved(net) is not None
    assert {nn.Linear, nn.Sequential, nn.Module}.isdisjoint(looked)


def test_a_hook_that_was_there_may_not_change_its_flag():
    """A hook that is always called is another one than a hook that is not."""
    net = Net()
    handle = net.linear.register_forward_hook(lambda *_: None)
    Given(net).identity  # noqa: B018  looks at it
    assert unmoved(net) is not None
    net.linear._forward_hooks_always_called[handle.id] = True

    assert unmoved(net) is None


def test_hooks_that_change_places_are_seen():
    """One that is called after another may no longer be called before it."""
    net = Net()
    handles = [net.register_forward_hook(hook) for hook in (lambda *_: None, lambda *_: None)]
    Given(net).identity  # noqa: B018  looks at it
    assert unmoved(net) is not None
    net._forward_hooks.move_to_end(handles[0].id)

    assert unmoved(net) is None


WRAPPERS = {
    "no_grad": torch.no_grad(),
    "partialmethod": functools.partialmethod,
    "staticmethod of a partial": lambda function: staticmethod(functools.partial(function)),
    "compiler.disable": torch.compiler.disable,
    "property": property,
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_user_s_code_in_a_package_s_class_is_told_behind_wrappers(wrapper, monkeypatch):
    """Wrappers come with packages; what they call does not."""

    def told(value):
        monkeypatch.setattr(nn.Tanh, "forward", WRAPPERS[wrapper](lambda *_: value))
        return Given(nn.Tanh()).identity.key

    before = Given(nn.Tanh()).identity.key

    assert len({before, told(5.0), told(6.0)}) == 3


def test_what_a_network_refers_to_weakly_is_not_held():
    """It goes when its owner lets it go, and the network is read each time."""
    net, other = Net(), Sizes(1)
    net.other = weakref.ref(other)
    Given(net).identity  # noqa: B018  looks at it
    assert unmoved(net) is None
    del other
    gc.collect()

    assert net.other() is None


def test_what_was_seen_once_is_what_would_be_seen_again():
    """An identity that is remembered is the one that a second look gives."""
    net = Net()
    first, again = Given(net), Given(net)
    assert first.identity is again.identity or first.identity == again.identity
    again.look_again()

    assert first.identity == again.identity
    assert first.digest() == again.digest()


@pytest.mark.parametrize("value", [np.zeros(3), bytearray(b"abc"), [np.zeros(3)], torch.zeros(3)])
def test_numbers_that_may_change_in_place_are_read_each_time(value):
    """Arrays and tensors besides the weights are read anew for each request."""
    net = nn.Linear(2, 2)
    net.table = value
    before = Given(net).identity.key
    assert unmoved(net) is None
    held = value[0] if isinstance(value, list) else value
    held[0] = 7

    assert Given(net).identity.key != before


def test_a_state_that_is_computed_is_read_each_time():
    """A module may put into its state dict what does not lie in it."""

    class Computed(nn.Linear):
        def _save_to_state_dict(self, destination, prefix, keep_vars):
            super()._save_to_state_dict(destination, prefix, keep_vars)
            destination[f"{prefix}more"] = self.bias

    net = Computed(2, 2)
    given = Given(net)
    given.digest()
    given.identity  # noqa: B018  looks at it

    assert unmoved(net) is None
    assert not given.is_still(given.digest())


def test_a_module_that_was_looked_at_can_be_forgotten():
    """To remember it keeps neither the module nor its weights."""
    net = Net()
    gone = weakref.ref(net), weakref.ref(net.linear.weight)
    Given(net).identity  # noqa: B018  looks at it
    Given(net).digest()
    del net
    gc.collect()

    assert [one() for one in gone] == [None, None]


class Ring(nn.Module):
    """Has a part that leads back to the whole."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 2)
        self.linear.whole = [self]


def test_a_module_that_leads_back_to_itself_can_be_forgotten():
    """It is read each time, since what was seen of it would keep it."""
    net = Ring()
    gone = weakref.ref(net)
    Given(net).identity  # noqa: B018  looks at it
    assert unmoved(net) is None
    del net
    gc.collect()

    assert gone() is None


EDITS = {
    "in place": lambda w: w.add_(1),
    "behind torch's back": lambda w: w.data.add_(1),
    "through NumPy": lambda w: np.add(w.numpy(), 1, out=w.numpy()),
    "other numbers": lambda w: setattr(w, "data", w.data.clone()),
    "transposed": lambda w: setattr(w, "data", w.data.t()),
    "another shape": lambda w: setattr(w, "data", w.data.view(2, 32)),
    "another type": lambda w: setattr(w, "data", w.data.view(torch.int32)),
}


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_edited_numbers_are_seen(edit, dtype):
    """A weight whose numbers, address, type or shape changed is hashed again."""
    state = {
        "weight": torch.zeros(8, 8, dtype=dtype),
        "empty": torch.zeros(0),
        "one": torch.ones(()),
    }
    glanced = Glanced.of(state)
    assert glanced is not None
    assert glanced.is_still(dict(state))
    EDITS[edit](state["weight"])

    assert not glanced.is_still(state)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.bool, torch.int8, torch.complex64])
def test_numbers_of_any_type_are_glanced_at(dtype):
    """An edit behind torch's back is seen whatever the numbers are."""
    state = {"weight": torch.zeros(8, 8, dtype=dtype)}
    glanced = Glanced.of(state)
    assert glanced is not None
    state["weight"].data.fill_(1)

    assert not glanced.is_still(state)


def test_other_tensors_are_not_the_same():
    """Equal numbers in another tensor, or under another name, are looked at again."""
    state = {"weight": torch.zeros(3)}
    glanced = Glanced.of(state)

    assert glanced is not None
    assert not glanced.is_still({"weight": torch.zeros(3)})
    assert not glanced.is_still({"bias": state["weight"]})
    assert not glanced.is_still({})


@pytest.mark.parametrize(
    "tensor",
    [
        torch.zeros(2, 3).t(),
        torch.zeros(3, device="meta"),
        torch.zeros(3, dtype=torch.complex128),
        torch.eye(3).to_sparse(),
    ],
)
def test_numbers_that_do_not_lie_open_are_not_glanced_at(tensor):
    """They are hashed each time."""
    assert Glanced.of({"weight": tensor}) is None
