"""The house: what an import brings, where private things are touched, what is documented."""

from __future__ import annotations

import ast
import doctest
import re
import subprocess
import sys
from pathlib import Path

import pytest
from numpydoc.validate import validate
from sklearn.base import clone

import sklearn_pretrained
from sklearn_pretrained import PretrainedImageFeaturizer
from sklearn_pretrained.backbones._weights import EMBEDDED, sha256
from sklearn_pretrained.backbones.torchvision._networks import SHIPPED

PACKAGE = Path(sklearn_pretrained.__file__).parent


def test_an_import_brings_neither_torch_nor_what_is_as_heavy():
    """Nor do dir(), a repr, a clone, or parameters that are set."""
    program = """
import sys
import sklearn_pretrained as p
from sklearn.base import clone
for name in dir(p):
    if name.endswith("Featurizer"):
        kind = getattr(p, name)
        one = kind("model")
        repr(one), dir(one), one._repr_html_(), clone(one)
        one.set_params(layer=3), one.get_params()
heavy = {"torch", "torchvision", "transformers", "timm", "PIL", "sentence_transformers"}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == "[]"


def test_private_scikit_learn_is_touched_in_one_file():
    """So that a new version of scikit-learn is one file's work."""
    private = re.compile(r"sklearn\.\S*\._|sklearn\.callback|from sklearn\.\S+ import _")
    touching = [
        path.name
        for path in PACKAGE.rglob("*.py")
        if any(private.search(line) for line in path.read_text().splitlines())
    ]

    assert touching == ["_sklearn.py"]


def test_the_shipped_weights_are_those_that_notice_names():
    """The file, the code and NOTICE agree on the digest."""
    notice = (PACKAGE.parent / "NOTICE").read_text()
    for _, name, digest in SHIPPED.values():
        assert sha256(EMBEDDED / name) == digest
        assert digest in notice


# Not asked for: extended summaries, examples in every docstring, periods behind types, sections
# that say nothing for a method.
_NOT_ASKED = {"ES01", "EX01", "GL01", "GL08", "RT03", "SA01", "SA04", "YD01", "PR01", "SS06"}
_PUBLIC = [name for name in sklearn_pretrained.__all__ if not name.startswith("__")]


def test_what_a_program_can_import_a_type_checker_and_an_editor_can_see():
    """The lists of public names agree: what is imported when asked for, and what types know."""
    tree = ast.parse(Path(sklearn_pretrained.__file__).read_text())
    typed = {
        alias.name
        for block in tree.body
        if isinstance(block, ast.If)
        for one in block.body
        for alias in one.names
    }

    assert typed == set(sklearn_pretrained._LAZY) == set(_PUBLIC)


@pytest.mark.parametrize("name", _PUBLIC)
def test_public_things_have_numpydoc_docstrings(name):
    """With every parameter, in the order of the signature, and examples for estimators."""
    found = validate(f"sklearn_pretrained.{name}")
    errors = [(code, text) for code, text in found["errors"] if code not in _NOT_ASKED]

    assert errors == []
    assert "Examples" in getattr(sklearn_pretrained, name).__doc__


@pytest.mark.parametrize("name", [name for name in _PUBLIC if name.endswith("Featurizer")])
def test_every_parameter_is_documented_with_its_default(name):
    """In the signature's order."""
    kind = getattr(sklearn_pretrained, name)
    documented = re.findall(r"^    (\w+) : ", kind.__doc__.split("Attributes")[0], re.MULTILINE)

    assert documented == list(kind.__init__.__annotations__)[:-1]


@pytest.mark.parametrize("name", _PUBLIC)
def test_public_classes_name_the_package_as_their_module(name):
    """So that pickles and skops never name a module that may move."""
    public = getattr(sklearn_pretrained, name)
    if isinstance(public, type) and not name.endswith("Display"):
        assert public.__module__ == "sklearn_pretrained"


@pytest.mark.parametrize("name", [name for name in _PUBLIC if name[0].isupper()])
def test_examples_of_public_classes_run(name, tmp_path, monkeypatch):
    """`pytest --doctest-modules` looks for a class where its module says that it is."""
    monkeypatch.chdir(tmp_path)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    runner = doctest.DocTestRunner(optionflags=flags)
    public = getattr(sklearn_pretrained, name)
    for example in doctest.DocTestFinder(recurse=False).find(public, name, globs={}):
        runner.run(example)

    assert runner.summarize(verbose=False).failed == 0
    assert runner.tries > 0


def test_files_stay_small():
    """A file of much more than 300 lines would be two rooms in one."""
    long = {
        path.name: lines
        for path in PACKAGE.rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > 330
    }

    assert long == {}


def test_the_names_of_parameters_are_those_of_the_signature_as_it_is(monkeypatch):
    """They are remembered, for each class and as long as its signature stays."""

    class Own(PretrainedImageFeaturizer):
        def __init__(self, model="mobilenet_v2", *, extra=1):
            super().__init__(model)
            self.extra = extra

    def other(self, model="mobilenet_v2", *, another=1):
        self.model, self.another = model, another

    assert {"layer", "model"} <= PretrainedImageFeaturizer().get_params().keys()
    assert Own().get_params().keys() == clone(Own()).get_params().keys() == {"model", "extra"}
    monkeypatch.setattr(Own, "__init__", other)
    assert Own().get_params().keys() == {"model", "another"}
