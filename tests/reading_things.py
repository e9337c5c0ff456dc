"""Source code → callables and networks that read files when they are called, or have read them."""

from __future__ import annotations

from tests.own_things import wanted

_IMPORTS = """
import gzip, json, pathlib, numpy as np
from PIL import Image
from numpy import load
"""
_READS = """
def f(x): return x - np.load('m')

def f(x): return x - load('m')

def f(x): return x - np.fromfile('m')

def f(x): return x - np.memmap('m')

def f(x): return x - torch.load('m')

def f(x): return torch.hub.load('a', 'b')(x)

def f(x): return x, Image.open('m')

def f(x): return x, gzip.open('m')

def f(x): return x, open('m').read()

def f(x): return x, pathlib.Path('m').read_text()

def f(x): return x, getattr(np, 'loadtxt')('m')

def f(x):
    import numpy
    return x - numpy.load('m')

def f(x):
    from numpy import load as l
    return x - l('m')

def f(x): return [y - np.load('m') for y in x]

def f(x): return [(lambda: np.load(y))() for y in x]

def f(x): return x, functools.partial(np.load, 'm')()

class C:
    def __init__(self, n=0): self.m = n and open(n).read()
    def __call__(self, x):
        self.__init__('m')
        return x, self.m
f = C()

f = functools.partial(np.load, 'm')

f = functools.partial(np.fromfile, 'm')

def g(x): return x - np.load('m')
def f(x): return g(x)

def g():
    import numpy as n
    return lambda x: x - n.load('m')
f = g()

class C:
    def __call__(self, x): return x - np.load('m')
f = C()

class C:
    def __call__(self, x): return self.g(x)
    def g(self, x): return np.load(x)
f = C()

class C:
    def m(self, x): return x - np.load('m')
f = C().m

class C:
    def __init__(self): self.m = np.load('m')
def f(x): return x - C().m

class C:
    def __init__(self, n=0): self.m = n and np.load(n)
    def __call__(self, x): return type(self)(x).m
f = C()

class C:
    def __init__(self, n=0): self.m = n and np.load(n)
    @classmethod
    def g(cls, n): return cls(n)
    def __call__(self, x): return self.g(x).m
f = C()

class C(nn.Module):
    def forward(self, x): return x - torch.load('m')
f = C()

f = nn.Sequential(nn.ReLU())
f[0].register_forward_hook(lambda m, args, y: y - np.load('m'))
"""
_HAVE_READ = """
class C:
    def __init__(self, n=0): self.m = n and np.load(n)
    def __call__(self, x): return x - self.m
f = C()

class B:
    def __init__(self, n=0): self.m = n and np.load(n)
class C(B):
    def __init__(self): super().__init__()
    def __call__(self, x): return x - self.m
f = C()

class C:
    def __init__(self, m): self.m = m
    @classmethod
    def read(cls, n): return cls(np.load(n))
    def __call__(self, x): return x - self.m
f = C(1)

class C(nn.Module):
    def __init__(self, n=0):
        super(C, self).__init__()
        self.m = self.get(n)
    def get(self, n): return n and torch.load(n)
    def forward(self, x): return x - self.m
f = C()

def f(image):
    image.load()
    return image

def f(x): return json.loads(x)
"""
READS = {code: wanted(_IMPORTS + code) for code in _READS.strip().split("\n\n")}
"""Nobody knows what the file will hold when they are called."""
HAVE_READ = {code: wanted(_IMPORTS + code) for code in _HAVE_READ.strip().split("\n\n")}
"""What they read is in the object, or they read nothing."""
