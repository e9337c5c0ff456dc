"""Two things that differ in one fact are never taken for one; equal ones are, in any process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cloudpickle
import pytest
from torch import nn

from sklearn_pretrained.backbones import find_image
from sklearn_pretrained.backbones.identity import identity
from sklearn_pretrained.recipe._recipe import fingerprint
from tests.own_things import CODE, ITEMS, PLACES, SAME, VALUES
from tests.reading_things import HAVE_READ, READS


def known_by(thing):
    """Return what rows of a network, or of what prepares images, are known by."""
    if isinstance(thing, nn.Module):
        backbone = find_image(thing, shape=(8,))
        return fingerprint({**backbone.recipe(), "weights": backbone.weights.digest()})
    return identity(thing).key


@pytest.mark.parametrize("place", PLACES)
def test_a_value_that_differs_makes_another_thing(place):
    """Wherever the value stands; and equal values, made twice, make the same thing."""
    shared, apart = [], []
    for name, values in VALUES.items():
        one, other = ({known_by(PLACES[place](value())) for _ in range(2)} for value in values)
        shared += [name] if one & other else []
        apart += [name] if len(one) + len(other) != 2 else []

    assert shared == []
    assert apart == []


@pytest.mark.parametrize("fact", CODE)
def test_code_or_a_layer_that_differs_makes_another_thing(fact):
    """And the same code makes the same."""
    one, other = CODE[fact]

    assert known_by(one()) == known_by(one())
    assert known_by(other()) == known_by(other())
    assert known_by(one()) != known_by(other())


@pytest.mark.parametrize("fact", SAME)
def test_what_moves_no_row_makes_no_other_thing(fact):
    """What training needs, comments, order of attributes, copies."""
    one, other = SAME[fact]

    assert known_by(one()) == known_by(other())


@pytest.mark.parametrize("source", READS)
def test_code_that_reads_files_is_like_no_other(source):
    """Nobody knows what a file will hold; the same object stays the same for itself."""
    one, other = READS[source](0), READS[source](0)

    assert known_by(one) == known_by(one) != known_by(other)


@pytest.mark.parametrize("source", HAVE_READ)
def test_files_that_a_constructor_read_are_known_by_what_became_of_them(source):
    """The object holds it; so rows may be shared, and kept in files."""
    one, other = HAVE_READ[source](0), HAVE_READ[source](0)

    assert known_by(one) == known_by(other)
    assert not identity(one).own


@pytest.mark.parametrize("fact", ITEMS)
def test_content_that_differs_makes_another_item(fact):
    """Texts, pictures and rows; and the same content the same."""
    read, one, other = ITEMS[fact]

    assert read([one]).digest(0) == read([one]).digest(0)
    assert read([one]).digest(0) != read([other]).digest(0)


def test_there_are_many_pairs():
    """What is counted here was compared above."""
    assert len(VALUES) * len(PLACES) + len(CODE) + len(READS) + len(ITEMS) > 3000


def all_known_by():
    """Return what some of the things are known by here: every place, and every value."""
    some = [(place, name) for place in PLACES for name in ("deep dict", "set", "closure", "mask")]
    some += [("attribute", name) for name in VALUES] + [("hook", name) for name in VALUES]
    things = {str(pair): PLACES[pair[0]](VALUES[pair[1]][0]()) for pair in some}
    things |= {name: pair[0]() for name, pair in CODE.items()}
    return {name: known_by(thing) for name, thing in things.items()}


SENT = [
    (place, name)
    for place in PLACES
    for name in ("deep dict", "enum", "private slot", "array", "tensor", "partial", "lambda")
]


@pytest.fixture(scope="module")
def elsewhere():
    """Return what things are known by in another process.

    Sets have another order there, and objects other addresses. Some things are made there, some
    are sent by cloudpickle, as joblib sends functions and classes of a notebook to its workers.
    """
    program = (
        "import sys, json, pickle; from tests import test_pairs as here;"
        "sent = [here.known_by(thing) for thing in pickle.load(sys.stdin.buffer)];"
        "print(json.dumps([here.all_known_by(), sent]))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        input=cloudpickle.dumps([PLACES[place](VALUES[name][0]()) for place, name in SENT]),
        capture_output=True,
        check=True,
        cwd=Path(__file__).parents[1],
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )
    return json.loads(done.stdout)


def test_another_process_that_makes_the_same_things_knows_them_for_the_same(elsewhere):
    """So that processes share a cache in a file."""
    assert elsewhere[0] == all_known_by()


def test_things_that_were_sent_to_another_process_are_the_same_there(elsewhere):
    """Classes and functions that no module holds, too."""
    here = [known_by(PLACES[place](VALUES[name][0]())) for place, name in SENT]

    assert [pair for pair, a, b in zip(SENT, here, elsewhere[1], strict=True) if a != b] == []
