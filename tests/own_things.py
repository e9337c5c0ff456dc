"""Values in pairs that differ in one fact, and the places in a program where a value can stand."""

from __future__ import annotations

import array
import collections
import copy
import datetime as dt
import decimal
import enum
import fractions
import functools
import operator
import pathlib
import random
import re
import types
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize

from sklearn_pretrained.inputs import read_images, read_rows, read_texts


class Label(enum.Enum):
    """Members that differ in name and value."""

    GOOD = 1
    BAD = 2


class Word(enum.StrEnum):
    """Members that are texts."""

    GOOD = "good"
    BAD = "bad"


class Bits(enum.Flag):
    """Members that are bits."""

    A = 1
    B = 2


@dataclass
class Point:
    """An object with a dictionary."""

    x: object
    y: object = 0


@dataclass(frozen=True)
class Fixed:
    """An object that cannot change."""

    x: object


class Slotted:
    """An object without a dictionary, one slot of which Python mangles."""

    __slots__ = ("__hidden", "shown")

    def __init__(self, shown, hidden):
        self.shown, self.__hidden = shown, hidden


class Further(Slotted):
    """With a slot, and a dictionary, besides its base's slots."""

    __slots__ = ("__dict__", "more")


class Named(dict):
    """A dictionary with an attribute."""


class Text(str):
    """A text with attributes."""

    __slots__ = ("note",)


class Pair(NamedTuple):
    """A tuple with names."""

    left: object
    right: object


def noted(make, **notes):
    """Put attributes on what is made."""

    def made():
        value = make()
        for name, note in notes.items():
            setattr(value, name, note)
        return value

    return made


def further(shown, hidden, more, **held):
    value = Further(shown, hidden)
    value.more = more
    vars(value).update(held)
    return value


def power(n):
    def raised(x):
        return x**n

    return raised


def big(dtype, where=None, to=3):
    values = np.ones(5000, dtype)
    if where is not None:
        values[where] = to
    return values


def masked(where):
    mask = np.zeros(5000, bool)
    mask[where] = True
    return np.ma.array(np.ones(5000), mask=mask)


def drawn(make, n):
    generator = make()
    for _ in range(n):
        generator.random()
    return generator


def looped(n):
    """Give a list that holds itself."""
    loop = [n]
    loop.append(loop)
    return loop


T = torch.tensor
VALUES = {
    "int": (lambda: 1, lambda: 2),
    "big int": (lambda: 10**30, lambda: 10**30 + 1),
    "int, float": (lambda: 1, lambda: 1.0),
    "int, bool": (lambda: 1, lambda: True),
    "zero": (lambda: 0.0, lambda: -0.0),
    "float": (lambda: 0.1, lambda: np.nextafter(0.1, 1).item()),
    "nan": (lambda: float("nan"), lambda: float("inf")),
    "complex": (lambda: 1 + 2j, lambda: 1 - 2j),
    "none": (lambda: None, lambda: False),
    "ellipsis": (lambda: None, lambda: ...),
    "text": (lambda: "cat", lambda: "cats"),
    "text, bytes": (lambda: "cat", lambda: b"cat"),
    "surrogate": (lambda: "\ud800", lambda: "\ud801"),
    "bytes": (lambda: b"cat", lambda: b"cut"),
    "bytearray": (lambda: bytearray(b"cat"), lambda: b"cat"),
    "long bytes": (lambda: b"x" * 5000 + b"a", lambda: b"x" * 5000 + b"b"),
    "tuple": (lambda: (1, 2), lambda: (1, 3)),
    "tuple, list": (lambda: (1, 2), lambda: [1, 2]),
    "nesting": (lambda: [1, [2, 3]], lambda: [[1, 2], 3]),
    "deep list": (lambda: [[[[[1, 2]]]]], lambda: [[[[[1, 3]]]]]),
    "empty": (list, lambda: [[]]),
    "long list": (lambda: [*range(3000), 1], lambda: [*range(3000), 2]),
    "loop": (lambda: looped(1), lambda: looped(2)),
    "set": (lambda: {"a", "b"}, lambda: {"a", "c"}),
    "set, frozenset": (lambda: {"a"}, lambda: frozenset("a")),
    "nested frozenset": (lambda: frozenset([(1, 2)]), lambda: frozenset([(2, 1)])),
    "dict value": (lambda: {"a": 1}, lambda: {"a": 2}),
    "dict key": (lambda: {"a": 1}, lambda: {"b": 1}),
    "dict order": (lambda: {"a": 1, "b": 2}, lambda: {"b": 2, "a": 1}),
    "deep dict": (lambda: {"a": {"b": [{"c": 1}]}}, lambda: {"a": {"b": [{"c": 2}]}}),
    "ordered dict": (
        lambda: collections.OrderedDict(a=1, b=2),
        lambda: collections.OrderedDict(b=2, a=1),
    ),
    "default dict": (
        lambda: collections.defaultdict(list),
        lambda: collections.defaultdict(dict),
    ),
    "counter": (lambda: collections.Counter("aab"), lambda: collections.Counter("abb")),
    "deque": (lambda: collections.deque([1, 2]), lambda: collections.deque([2, 1])),
    "deque length": (lambda: collections.deque([1], 3), lambda: collections.deque([1], 4)),
    "chain map": (lambda: collections.ChainMap({"a": 1}), lambda: collections.ChainMap({"a": 2})),
    "read-only dict": (
        lambda: types.MappingProxyType({"a": 1}),
        lambda: types.MappingProxyType({"a": 2}),
    ),
    "dict attribute": (noted(Named, note=1), noted(Named, note=2)),
    "text attribute": (noted(lambda: Text("a"), note=1), noted(lambda: Text("a"), note=2)),
    "text subclass": (lambda: Text("a"), lambda: "a"),
    "namespace": (lambda: types.SimpleNamespace(a=1), lambda: types.SimpleNamespace(a=2)),
    "range": (lambda: range(3), lambda: range(4)),
    "slice": (lambda: slice(1, 2), lambda: slice(1, 3)),
    "fraction": (lambda: fractions.Fraction(1, 3), lambda: fractions.Fraction(2, 3)),
    "decimal": (lambda: decimal.Decimal("1.0"), lambda: decimal.Decimal("1.00")),
    "date": (lambda: dt.date(2020, 1, 1), lambda: dt.date(2020, 1, 2)),
    "path": (lambda: pathlib.PurePosixPath("/a"), lambda: pathlib.PurePosixPath("/b")),
    "pattern": (lambda: re.compile("a" * 300), lambda: re.compile("a" * 300 + "|Q")),
    "pattern flags": (lambda: re.compile("a"), lambda: re.compile("a", re.IGNORECASE)),
    "getter": (lambda: operator.itemgetter(0), lambda: operator.itemgetter(1)),
    "caller": (lambda: operator.methodcaller("a"), lambda: operator.methodcaller("b")),
    "enum": (lambda: Label.GOOD, lambda: Label.BAD),
    "text enum": (lambda: Word.GOOD, lambda: Word.BAD),
    "enum, text": (lambda: Word.GOOD, lambda: "good"),
    "flag": (lambda: Bits.A, lambda: Bits.A | Bits.B),
    "dataclass": (lambda: Point(1), lambda: Point(2)),
    "dataclass default": (lambda: Point(1, 0), lambda: Point(1, 1)),
    "dataclass, frozen": (lambda: Fixed(1), lambda: Point(1)),
    "nested object": (lambda: Point(Point([1])), lambda: Point(Point([2]))),
    "slot": (lambda: Slotted(1, 1), lambda: Slotted(2, 1)),
    "private slot": (lambda: Slotted(1, 1), lambda: Slotted(1, 2)),
    "slot of a subclass": (lambda: further(1, 1, 1), lambda: further(1, 1, 2)),
    "slot of its base": (lambda: further(1, 1, 1), lambda: further(1, 2, 1)),
    "dictionary beside slots": (lambda: further(1, 1, 1, a=1), lambda: further(1, 1, 1, a=2)),
    "named tuple": (lambda: Pair(1, 2), lambda: Pair(1, 3)),
    "named tuple's class": (lambda: Pair(1, 2), lambda: (1, 2)),
    "type": (lambda: int, lambda: float),
    "class": (lambda: Point, lambda: Fixed),
    "numpy scalar": (lambda: np.float32(1), lambda: np.float64(1)),
    "numpy dtype": (lambda: np.dtype("f4"), lambda: np.dtype(">f4")),
    "array": (lambda: big("f4"), lambda: big("f4", 2500)),
    "array dtype": (lambda: np.zeros(4, "i4"), lambda: np.zeros(4, "f4")),
    "array shape": (lambda: np.zeros((2, 3)), lambda: np.zeros((3, 2))),
    "array order": (lambda: np.arange(6).reshape(2, 3), lambda: np.arange(6).reshape(3, 2).T),
    "object array": (lambda: big(object), lambda: big(object, 2500)),
    "record array": (
        lambda: np.zeros(2, [("a", "i4"), ("b", "f4")]),
        lambda: np.zeros(2, [("b", "i4"), ("a", "f4")]),
    ),
    "text array": (lambda: np.array(["a", "b"]), lambda: np.array(["a", "c"])),
    "mask": (lambda: masked(2500), lambda: masked(2501)),
    "fill value": (
        lambda: np.ma.array([1, 2], fill_value=1),
        lambda: np.ma.array([1, 2], fill_value=2),
    ),
    "numbers": (lambda: array.array("f", [1, 2]), lambda: array.array("f", [1, 3])),
    "random state": (
        lambda: drawn(lambda: np.random.default_rng(0), 0),
        lambda: drawn(lambda: np.random.default_rng(0), 1),
    ),
    "old random state": (lambda: np.random.RandomState(0), lambda: np.random.RandomState(1)),
    "python's random state": (
        lambda: drawn(lambda: random.Random(0), 0),
        lambda: drawn(lambda: random.Random(0), 1),
    ),
    "tensor": (lambda: torch.from_numpy(big("f4")), lambda: torch.from_numpy(big("f4", 2500))),
    "tensor dtype": (lambda: T([1, 2]), lambda: T([1.0, 2.0])),
    "tensor shape": (lambda: torch.zeros(2, 3), lambda: torch.zeros(3, 2)),
    "bfloat16": (lambda: T([1.0, 2.0]).bfloat16(), lambda: T([1.0, 2.0]).half()),
    "long integers": (lambda: T(2**40), lambda: T(2**40 + 1)),
    "imaginary part": (lambda: T([1 + 2j]), lambda: T([1 + 3j])),
    "conjugate": (lambda: T([1 + 2j]), lambda: T([1 + 2j]).conj()),
    "sparse": (
        lambda: T([[0, 1.0], [0, 0]]).to_sparse(),
        lambda: T([[0, 0], [1.0, 0]]).to_sparse(),
    ),
    "parameter": (lambda: nn.Parameter(torch.zeros(2)), lambda: nn.Parameter(torch.ones(2))),
    "torch dtype": (lambda: torch.float32, lambda: torch.float16),
    "torch device": (lambda: torch.device("cpu"), lambda: torch.device("meta")),
    "torch size": (lambda: torch.Size([1, 2]), lambda: torch.Size([2, 1])),
    "torch function": (lambda: torch.relu, lambda: torch.tanh),
    "functional": (lambda: nn.functional.gelu, lambda: nn.functional.silu),
    "operator": (lambda: torch.ops.aten.relu.default, lambda: torch.ops.aten.tanh.default),
    "method": (lambda: Point(1).__repr__, lambda: Point(2).__repr__),
    "method of a class": (lambda: torch.Tensor.relu, lambda: torch.Tensor.tanh),
    "builtin": (lambda: min, lambda: max),
    "ufunc": (lambda: np.sin, lambda: np.cos),
    "partial": (lambda: functools.partial(power, 1), lambda: functools.partial(power, 2)),
    "partial keyword": (
        lambda: functools.partial(power, n=1),
        lambda: functools.partial(power, n=2),
    ),
    "closure": (lambda: power(1), lambda: power(2)),
    "lambda": (lambda: lambda x: x + 1, lambda: lambda x: x - 1),
    "cached function": (lambda: functools.cache(power(1)), lambda: functools.cache(power(2))),
    "vectorised": (lambda: np.vectorize(power(1)), lambda: np.vectorize(power(2))),
    "network": (nn.ReLU, nn.Tanh),
    "network's attribute": (lambda: nn.LeakyReLU(0.1), lambda: nn.LeakyReLU(0.2)),
}


def program(source, **given):
    """Run source code as a module of the user's own."""
    module = types.ModuleType("program")
    vars(module).update(torch=torch, nn=nn, functools=functools, **given)
    exec(source, vars(module))
    return module


def wanted(source, name="f"):
    return lambda value: getattr(program(source, value=value), name)


def with_module(value):
    settings = types.ModuleType("settings")
    settings.value, settings.unused = value, object()
    return program("def f(x):\n    return x, settings.value", settings=settings).f


def with_names_made_up(value):
    settings = program("def __getattr__(name): return held", held=value)
    return program("def f(x):\n    return x, settings.value", settings=settings).f


def with_getattr(value):
    settings = program("", held=value)
    return program("def f(x, n):\n    return getattr(settings, n)", settings=settings).f


def network(source):
    """Give what makes a network with one linear layer, and a value somewhere."""
    head = (
        "class Net(nn.Module):\n"
        "    def __init__(self, value=None):\n"
        "        super().__init__()\n"
        "        torch.manual_seed(0)\n"
        "        self.linear = nn.Linear(8, 4)\n"
    )
    return lambda value: program(head + source, value=value)


def held(value):
    return network("        self.held = value\n")(value).Net(value)


def below(value):
    net = seeded(nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Identity())))
    net[1][0].held = value
    return net


def seeded(net):
    for i, parameter in enumerate(net.parameters()):
        nn.init.constant_(parameter, i)
    return net


def hooked(register):
    def make(value):
        net = seeded(nn.Sequential(nn.Linear(2, 2)))
        getattr(net[0], register)(lambda *_: value)
        return net

    return make


def on_a_parameter(value):
    net = seeded(nn.Linear(2, 2))
    net.weight.note = value
    return net


def own_forward(value):
    net = seeded(nn.Linear(2, 2))
    net.forward = types.MethodType(lambda self, x: (self.weight, x, value), net)
    return net


PLACES = {
    "attribute": Point,
    "nested": lambda value: Point([{"a": (value,)}]),
    "slot": lambda value: Slotted(0, value),
    "closure": wanted("def g(v):\n    def f(x): return x, v\n    return f\nf = g(value)"),
    "closure within": wanted(
        "def g(v):\n    def f(x): return [lambda y: (y, v) for _ in x]\n    return f\nf = g(value)"
    ),
    "global": wanted("def f(x): return x, value"),
    "global of a helper": wanted("def h(x): return x, value\ndef f(x): return h(x)"),
    "global of a method": wanted(
        "class C:\n    def __call__(self, x): return value\nf = C()",
    ),
    "global in a comprehension": wanted("def f(x): return [(y, value) for y in x]"),
    "default": wanted("def f(x, y=value): return x, y"),
    "keyword default": wanted("def f(x, *, y=value): return x, y"),
    "class attribute": wanted("class C:\n    held = value\n    def __call__(s, x): pass\nf = C()"),
    "base's attribute": wanted("class B:\n    held = value\nclass C(B): pass\nf = C()"),
    "class used within": wanted("class C:\n    held = value\ndef f(x): return C().held"),
    "metaclass": wanted("class M(type):\n    held = value\nclass C(metaclass=M): pass\nf = C()"),
    "property": wanted("class C:\n    @property\n    def held(self): return value\nf = C()"),
    "static method": wanted("class C:\n    @staticmethod\n    def h(): return value\nf = C()"),
    "class method": wanted("class C:\n    @classmethod\n    def h(cls): return value\nf = C()"),
    "method": wanted(
        "class C:\n    def __init__(s, v): s.v = v\n    def m(s, x): return s.v\nf = C(value).m"
    ),
    "function attribute": wanted("def f(x): return f.held\nf.held = value"),
    "decorated": wanted(
        "def d(v):\n    def w(g):\n        @functools.wraps(g)\n"
        "        def h(x): return g(x), v\n        return h\n    return w\n"
        "@d(value)\ndef f(x): return x"
    ),
    "partial": wanted("def g(v, x): return v, x\nf = functools.partial(g, value)"),
    "imported module": with_module,
    "module that makes up names": with_names_made_up,
    "module asked by a name": with_getattr,
    "network's attribute": held,
    "submodule's attribute": below,
    "network's class": lambda value: network("    held = value\n")(value).Net(),
    "forward's global": lambda value: network("    def forward(self, x): return value\n")(
        value
    ).Net(),
    "forward of its own": own_forward,
    "parameter's attribute": on_a_parameter,
    "hook": hooked("register_forward_hook"),
    "hook before": hooked("register_forward_pre_hook"),
}


def coded(*bodies):
    """Give functions with these bodies."""
    return [lambda body=body: wanted(body)(0) for body in bodies]


def layered(*makers):
    return [lambda make=make: seeded(make()) for make in makers]


def changed(change):
    """Give a network, and the same one after a change."""

    def make():
        return seeded(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.ReLU()))

    def other():
        net = make()
        change(net)
        return net

    return [make, other]


def doubled(_module, _args, out):
    return 2 * out


def with_buffer(value, *, persistent):
    def make():
        net = seeded(nn.Linear(2, 2))
        net.register_buffer("held", torch.full((9,), value), persistent=persistent)
        return net

    return make


def encoder(**parameters):
    return lambda: seeded(nn.TransformerEncoderLayer(8, dim_feedforward=4, **parameters))


class Twice(nn.Module):
    """A parametrization."""

    def __init__(self, factor=2):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return self.factor * x


def parametrised(factor):
    def make():
        net = seeded(nn.Linear(2, 2))
        parametrize.register_parametrization(net, "bias", Twice(factor))
        return net

    return make


def swapped(net):
    net[0], net[2] = net[2], net[0]


CODE = {
    "operator": coded("def f(x): return x + 1", "def f(x): return x - 1"),
    "constant": coded("def f(x): return x * 2", "def f(x): return x * 3"),
    "sign of zero": coded("def f(x): return x + 0.0", "def f(x): return x + -0.0"),
    "type of a constant": coded("def f(x): return x * 1", "def f(x): return x * True"),
    "order": coded("def f(x): return x @ f.a @ f.b", "def f(x): return x @ f.b @ f.a"),
    "attribute": coded("def f(x): return x.mean()", "def f(x): return x.median()"),
    "keyword": coded("def f(x): return x.sum(dim=1)", "def f(x): return x.sum(axis=1)"),
    "builtin": coded("def f(x): return min(x)", "def f(x): return max(x)"),
    "what a name hides": coded("def f(x): return min(x)", "min = max\ndef f(x): return min(x)"),
    "tried": coded(
        "def f(x):\n    try:\n        a(x)\n        b(x)\n    except ValueError: pass",
        "def f(x):\n    try:\n        a(x)\n    except ValueError: pass\n    b(x)",
    ),
    "branch": coded("def f(x): return 1 if x > 0 else 2", "def f(x): return 1 if x >= 0 else 2"),
    "loop": coded(
        "def f(x):\n    for _ in range(2): x = x + x\n    return x",
        "def f(x):\n    for _ in range(2): x = x + x\n        \n    return x + x",
    ),
    "lambda inside": coded(
        "def f(x): return map(lambda y: y, x)", "def f(x): return map(lambda y: -y, x)"
    ),
    "parameter": coded("def f(x, a=0): return x", "def f(x, b=0): return x"),
    "keyword only": coded("def f(x, a=0): return x", "def f(x, *, a=0): return x"),
    "positional only": coded("def f(x, a=0): return x", "def f(x, a=0, /): return x"),
    "many": coded("def f(x, a): return x", "def f(x, *a): return x"),
    "generator": coded("def f(x): return x", "def f(x):\n    yield x"),
    "coroutine": coded("def f(x): return x", "async def f(x): return x"),
    "import": coded(
        "def f(x):\n    from math import sin as g\n    return g(x)",
        "def f(x):\n    from math import cos as g\n    return g(x)",
    ),
    "decorator": coded(
        "@functools.cache\ndef f(x): return x", "@functools.lru_cache\ndef f(x): return x, 1"
    ),
    "base": coded(
        "class A:\n    def g(s): return 1\nclass C(A): pass\nf = C()",
        "class A:\n    def g(s): return 2\nclass C(A): pass\nf = C()",
    ),
    "order of bases": coded(
        "class A: a = 1\nclass B: a = 2\nclass C(A, B): pass\nf = C()",
        "class A: a = 1\nclass B: a = 2\nclass C(B, A): pass\nf = C()",
    ),
    "kind of method": coded(
        "class C:\n    @staticmethod\n    def g(x): pass\nf = C()",
        "class C:\n    @classmethod\n    def g(x): pass\nf = C()",
    ),
    "setter": coded(
        "class C:\n    g = property(lambda s: 1, lambda s, v: None)\nf = C()",
        "class C:\n    g = property(lambda s: 1)\nf = C()",
    ),
    "method put on later": coded(
        "class C:\n    def g(s): return 1\nf = C()",
        "class C:\n    def g(s): return 1\nC.g = lambda s: 2\nf = C()",
    ),
    "method of the object": coded(
        "class C:\n    def g(s): return 1\nf = C()",
        "class C:\n    def g(s): return 1\nf = C()\nf.g = lambda: 2",
    ),
    "class of the object": coded("class C: a = 1\nf = C()", "class C: a = 1\nf = C"),
    "helper's helper": coded(
        "def b(x): return 1\ndef a(x): return b(x)\ndef f(x): return a(x)",
        "def b(x): return 2\ndef a(x): return b(x)\ndef f(x): return a(x)",
    ),
    "class of a helper": coded(
        "class H:\n    def g(s): return 1\ndef f(x): return H().g()",
        "class H:\n    def g(s): return 2\ndef f(x): return H().g()",
    ),
    "layer": layered(lambda: nn.Linear(2, 2), lambda: nn.Sequential(nn.Linear(2, 2))),
    "width": layered(lambda: nn.Linear(2, 2), lambda: nn.Linear(2, 3)),
    "stride": layered(lambda: nn.Conv1d(2, 2, 3), lambda: nn.Conv1d(2, 2, 3, stride=2)),
    "padding mode": layered(
        lambda: nn.Conv1d(2, 2, 3, padding=1),
        lambda: nn.Conv1d(2, 2, 3, padding=1, padding_mode="circular"),
    ),
    "epsilon": layered(lambda: nn.LayerNorm(2), lambda: nn.LayerNorm(2, eps=1e-4)),
    "heads": [encoder(nhead=2), encoder(nhead=4)],
    "activation": [encoder(nhead=2), encoder(nhead=2, activation="gelu")],
    "norm first": [encoder(nhead=2), encoder(nhead=2, norm_first=True)],
    "batch first": [encoder(nhead=2), encoder(nhead=2, batch_first=True)],
    "rnn": layered(lambda: nn.RNN(2, 2), lambda: nn.RNN(2, 2, nonlinearity="relu")),
    "weight": changed(lambda net: net[0].weight.data[0].add_(1)),
    "imaginary weight": layered(
        lambda: nn.ParameterList([nn.Parameter(T([1j]))]),
        lambda: nn.ParameterList([nn.Parameter(T([1j])), nn.Parameter(T([1j]))]),
    ),
    "running mean": changed(lambda net: net[1].running_mean.add_(1)),
    "dtype": changed(lambda net: net.double()),
    "order of layers": changed(swapped),
    "layer put in": changed(lambda net: net.append(nn.ReLU())),
    "layer replaced": changed(lambda net: net.__setitem__(2, nn.Tanh())),
    "layer taken out": changed(lambda net: net.__delitem__(2)),
    "layer used twice": layered(
        lambda: nn.Sequential(*[nn.Linear(2, 2)] * 2),
        lambda: nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)),
    ),
    "name of a layer": layered(
        lambda: nn.ModuleDict({"a": nn.Linear(2, 2)}), lambda: nn.ModuleDict({"b": nn.Linear(2, 2)})
    ),
    "buffer": [with_buffer(1.0, persistent=True), with_buffer(2.0, persistent=True)],
    "fleeting buffer": [with_buffer(1.0, persistent=False), with_buffer(2.0, persistent=False)],
    "hook": changed(lambda net: net[0].register_forward_hook(doubled)),
    "hook on all": changed(lambda net: net.register_forward_hook(doubled)),
    "hook before": changed(lambda net: net[0].register_forward_pre_hook(lambda _m, args: args)),
    "hook with keywords": changed(
        lambda net: net[0].register_forward_hook(lambda _m, _a, _k, out: out, with_kwargs=True)
    ),
    "two hooks": changed(lambda net: [net[0].register_forward_hook(doubled) for _ in range(2)]),
    "no bias": changed(lambda net: setattr(net[0], "bias", None)),
    "parametrization": changed(
        lambda net: parametrize.register_parametrization(net[0], "weight", Twice())
    ),
    "what a parametrization holds": [parametrised(2), parametrised(3)],
    "weight norm": changed(lambda net: parametrizations.weight_norm(net[0])),
    "spectral norm": changed(lambda net: parametrizations.spectral_norm(net[0])),
    "track statistics": changed(lambda net: setattr(net[1], "track_running_stats", False)),
    "class": changed(lambda net: setattr(net[2], "__class__", nn.ReLU6)),
    "forward of its own": changed(lambda net: setattr(net[2], "forward", torch.tanh)),
}


def unaffected(change):
    """Give a network, and one that a change that moves no row was made to."""
    return changed(change)


SAME = {
    "training": unaffected(lambda net: net.eval()),
    "gradients": unaffected(lambda net: net.requires_grad_(requires_grad=False)),
    "a gradient": unaffected(lambda net: setattr(net[0].weight, "grad", torch.ones(2, 2))),
    "hooks of training": unaffected(lambda net: net.register_full_backward_hook(doubled)),
    "a hook that was removed": unaffected(lambda net: net.register_forward_hook(doubled).remove()),
    "where code stands": coded("def f(x): return x", "\n\n# A comment.\n\ndef f(x): return x"),
    "a global that is not read": coded("def f(x): return x", "y = 1\ndef f(x): return x"),
    "order of attributes": [
        lambda: types.SimpleNamespace(a=1, b=2),
        lambda: types.SimpleNamespace(b=2, a=1),
    ],
    "a copy": [PAIR := (lambda: held([1, {"a": T([1.0])}])), lambda: copy.deepcopy(PAIR())],
    "memory format": changed(lambda net: net.to(memory_format=torch.contiguous_format)),
}


def picture(where=None, shape=(4, 6, 3), dtype=np.uint8):
    pixels = np.zeros(shape, dtype)
    if where is not None:
        pixels[where] = 1
    return pixels


def of_rows(rows):
    return read_rows(np.stack(rows))


ITEMS = {
    "letter": (read_texts, "a cat", "a cut"),
    "case": (read_texts, "a cat", "A cat"),
    "space": (read_texts, "a cat", "a cat "),
    "form of an accent": (read_texts, "caf\u00e9", "cafe\u0301"),
    "end of a long text": (read_texts, "x" * 10**5 + "a", "x" * 10**5 + "b"),
    "pair": (read_texts, ("ab", "c"), ("a", "bc")),
    "order of a pair": (read_texts, ("a", "b"), ("b", "a")),
    "pair, text": (read_texts, ("a", "b"), "ab"),
    "pixel": (read_images, picture(), picture((3, 5, 2))),
    "size": (read_images, picture(), picture(shape=(6, 4, 3))),
    "row": (of_rows, np.zeros(8), np.eye(8)[3]),
    "last bit": (of_rows, np.ones(8, "f4"), np.nextafter(np.ones(8, "f4"), np.float32(2))),
    "shape": (of_rows, np.zeros((2, 4)), np.zeros((4, 2))),
    "order of numbers": (of_rows, np.arange(4.0), np.arange(4.0)[::-1]),
}
