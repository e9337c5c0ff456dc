"""What goes to the workers of any engine, and what comes back, without an engine."""

from __future__ import annotations

import pickle
import sys

import numpy as np
import pytest

pa = pytest.importorskip("pyarrow", reason="the test extra brings it")

from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neighbors import KNeighborsClassifier, RadiusNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    SplineTransformer,
    StandardScaler,
)

from sklearn_pretrained import ModuleFeaturizer
from sklearn_pretrained.engines._columns import FeaturizeBatch, names_of, result_type
from sklearn_pretrained.engines._shipped import Shipped
from tests.conftest import make_mlp, relative_error
from tests.engines import things

X = np.random.default_rng(0).normal(size=(30, 8)).astype(np.float32)


def numbers():
    return ModuleFeaturizer(make_mlp, layer="0", cache=None)


def through(estimator, column, method="transform"):
    """Send a column to a worker, as bytes, and read what comes back."""
    shipped = pickle.loads(pickle.dumps(Shipped(estimator, method)))
    found = FeaturizeBatch(shipped, "items", ["found", "why"])(pa.table({"items": column}))
    assert found.schema.field("found").type == result_type(shipped)
    return found["found"].to_pylist(), found["why"].to_pylist()


def test_a_regressor_with_several_outputs_gives_vectors():
    """As many numbers for each item as it has outputs."""
    y = np.random.default_rng(1).normal(size=(30, 3))
    pipeline = make_pipeline(numbers(), LinearRegression()).fit(X, y)

    found, _ = through(pipeline, X.tolist(), "predict")

    np.testing.assert_allclose(found, pipeline.predict(X), rtol=1e-4)


def test_a_classifier_with_several_outputs_gives_vectors_of_labels():
    """Texts too, and null for what could not be read."""
    y = np.stack([np.where(X[:, 0] > 0, "up", "down"), np.where(X[:, 1] > 0, "left", "right")], 1)
    pipeline = make_pipeline(numbers(), KNeighborsClassifier(1)).fit(X, y)

    found, _ = through(pipeline, [*X.tolist(), None], "predict")

    assert found == [*y.tolist(), None]


def test_sparse_results_become_vectors():
    """They are dense in a column."""
    bins = KBinsDiscretizer(4, encode="onehot", quantile_method="averaged_inverted_cdf")
    pipeline = make_pipeline(numbers(), bins).fit(X)

    found, _ = through(pipeline, X.tolist())

    np.testing.assert_array_equal(found, pipeline.transform(X).toarray())


@pytest.mark.parametrize("last", [StandardScaler(), LinearRegression()])
def test_steps_that_were_fitted_on_frames_get_frames(last):
    """With `set_output`, a step may choose columns by their names."""
    pytest.importorskip("pandas", reason="set_output asks for it")
    chosen = make_column_transformer(
        ("passthrough", lambda frame: [name for name in frame if name.endswith(("_1", "_2"))])
    )
    pipeline = make_pipeline(numbers(), chosen, last).set_output(transform="pandas")
    pipeline.fit(X, X[:, 0])
    method = "transform" if isinstance(last, StandardScaler) else "predict"

    found, _ = through(pipeline, X.tolist(), method)

    expected = np.asarray(getattr(pipeline, method)(X))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("steps", "y", "method", "said"),
    [
        (MultiOutputClassifier(LogisticRegression()), 2, "predict_proba", "2 arrays"),
        (FunctionTransformer(lambda rows: rows[:, :, None]), 1, "transform", "of shape"),
        (FunctionTransformer(np.linalg.inv), 1, "transform", "on a row of ones"),
        (FunctionTransformer(lambda rows: rows.astype(str)), 1, "transform", "no column"),
    ],
)
def test_what_fits_into_no_column_is_refused_before_anything_starts(steps, y, method, said):
    """With the method, and what it gives."""
    labels = (X[:, :y] > 0).astype(int).squeeze()
    pipeline = make_pipeline(numbers(), steps)
    pipeline.steps[0][1].fit(X)
    if method == "predict_proba":
        steps.fit(numbers().fit_transform(X), labels)

    with pytest.raises((TypeError, ValueError), match=said):
        Shipped(pipeline, method)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("fixed", [False, True])
def test_lists_of_numbers_keep_their_type(dtype, fixed):
    """An image in nested lists is what it is as an array."""
    images = np.random.default_rng(0).integers(0, 256, (4, 12, 12, 3)).astype(dtype)
    if dtype == np.float32:
        images /= 255
    kind = pa.from_numpy_dtype(dtype)
    for length in (3, 12, 12):
        kind = pa.list_(kind, length if fixed else -1)

    found, _ = through(things.featurizer(), pa.array(images.tolist(), kind))

    assert relative_error(np.array(found), things.featurizer().transform(list(images))) < 1e-5


def test_a_bad_row_of_numbers_stops_nothing():
    """It is null with its reason; the others are what they are without it."""
    featurizer = numbers().fit(X)
    gap = [*X[0, :7].tolist(), None]

    found, why = through(featurizer, [*X.tolist(), gap, X[0, :5].tolist(), None])

    assert relative_error(np.array(found[:30]), featurizer.transform(X)) < 1e-5
    assert found[30:] == [None] * 3
    assert why[:30] == [None] * 30
    assert why[30] == "The item contains NaN or infinity"
    assert why[31] == "The item has shape (5,), but rows had shape (8,) at fit"
    assert why[32] == "The item is missing"


@pytest.mark.parametrize(
    ("source", "other"),
    [
        ("def step(rows): return rows", "def step(rows): return rows + 1"),
        ("def step(rows): return by * rows\nby = 2", "def step(rows): return by * rows\nby = 3"),
        (
            "class Steps:\n def run(self, rows): return rows\nstep = Steps().run",
            "class Steps:\n def run(self, rows): return -rows\nstep = Steps().run",
        ),
    ],
)
def test_a_function_that_is_written_anew_in_a_notebook_has_another_recipe(
    source, other, monkeypatch
):
    """What is kept under a recipe is served for the same code and numbers only."""
    main = vars(sys.modules["__main__"])
    for name in ("by", "step", "Steps"):
        monkeypatch.setitem(main, name, None)

    def recipe(code):
        exec(code, main)
        steps = FunctionTransformer(main["step"])
        return Shipped(make_pipeline(numbers(), steps).fit(X), "transform").recipe

    first, again, changed = recipe(source), recipe(source), recipe(other)

    assert first == again
    assert first != changed


def test_what_steps_are_given_is_part_of_the_recipe():
    """A function may make something else of a frame than of an array."""
    pytest.importorskip("pandas", reason="set_output asks for it")
    pipeline = make_pipeline(numbers(), FunctionTransformer(lambda rows: rows)).fit(X)
    of_arrays = Shipped(pipeline, "transform").recipe

    pipeline[0].set_output(transform="pandas")

    assert Shipped(pipeline, "transform").recipe != of_arrays


def refuses_ones(rows):
    """Stand for a check of a user's own."""
    if (rows == 1).all():
        raise ValueError("These are not measurements.")
    return rows


CHECK = FunctionTransformer(refuses_ones)
SPLINES = SplineTransformer(extrapolation="error")
NEAR = RadiusNeighborsClassifier(1e-3)


@pytest.mark.parametrize(
    ("steps", "method", "outputs"),
    [
        ([SPLINES], "transform", 1),
        ([FunctionTransformer(refuses_ones, feature_names_out="one-to-one")], "transform", 1),
        ([CHECK, StandardScaler()], "transform", 1),
        ([SPLINES, LinearRegression()], "predict", 1),
        ([SPLINES, LinearRegression()], "predict", 2),
        ([CHECK, LogisticRegression()], "predict_proba", 1),
        ([NEAR], "predict", 1),
        ([NEAR], "predict", 2),
        ([NEAR], "predict_proba", 1),
    ],
)
def test_steps_that_take_no_row_of_ones_say_what_they_give(steps, method, outputs):
    """By the last step alone, or its classes or feature names."""
    y = (X[:, :outputs] > 0).astype(int).squeeze()
    pipeline = make_pipeline(numbers(), *steps).fit(X, y)

    found, _ = through(pipeline, X.tolist(), method)

    np.testing.assert_allclose(found, getattr(pipeline, method)(X), rtol=1e-4, atol=1e-5)


def test_probabilities_of_several_outputs_are_refused_by_the_classes_too():
    """As they are where a row of ones can be classified."""
    pipeline = make_pipeline(numbers(), NEAR).fit(X, (X[:, :2] > 0).astype(int))

    with pytest.raises(TypeError, match="2 arrays"):
        Shipped(pipeline, "predict_proba")


def test_texts_are_told_by_the_classes():
    """Also where no row of ones can be classified."""
    y = np.where(X[:, 0] > 0, "up", "down")
    pipeline = make_pipeline(numbers(), NEAR).fit(X, y)

    found, _ = through(pipeline, X.tolist(), "predict")

    assert found == y.tolist()


def test_steps_that_say_nothing_are_refused_with_what_to_do():
    """The error names what the last step lacks."""
    pipeline = make_pipeline(numbers(), CHECK).fit(X)

    with pytest.raises(ValueError, match=r"not measurements.*feature_names_out='one-to-one'"):
        Shipped(pipeline, "transform")


@pytest.mark.parametrize(
    "given",
    [lambda rows: rows[:, :1], lambda rows: rows.astype(complex)],
)
def test_results_of_another_shape_or_type_than_told_are_refused(given):
    """A single number is not spread over a row, and none loses a part."""

    def step(rows):
        return rows if (rows == 1).all() else given(rows)

    pipeline = make_pipeline(numbers(), FunctionTransformer(step)).fit(X)

    with pytest.raises(TypeError, match="were expected"):
        Shipped(pipeline, "transform")(X)


@pytest.mark.parametrize(
    ("to", "said"),
    [("item_error", "why an item could not be read"), ("items", "There is a column 'items'")],
)
def test_columns_that_come_have_names_of_their_own(to, said):
    """No column takes the place of another."""
    with pytest.raises(ValueError, match=said):
        names_of(Shipped(numbers().fit(X), "transform"), to, ["items"], "items")


@pytest.mark.parametrize(
    "item",
    [["1"] * 8, [b"1"] * 8, np.full(8, 1j), np.array([1j] * 8, object), np.zeros(8, "M8[s]")],
)
def test_what_is_not_real_numbers_is_a_bad_row(item):
    """Texts and complex numbers, which `transform` refuses, and times, which have no one unit."""
    found = Shipped(numbers().fit(X), "transform")([X[0], item])

    assert found.there.tolist() == [True, False]
    assert found.reasons[1].startswith("The item could not be read as")


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint16, np.float16, np.float64, object])
def test_real_numbers_of_any_type_are_rows(dtype):
    """Those of `transform`."""
    rows, featurizer = (X > 0).astype(dtype), numbers().fit(X)

    found = Shipped(featurizer, "transform")(list(rows))

    np.testing.assert_allclose(found.values, featurizer.transform(rows), rtol=1e-5)
