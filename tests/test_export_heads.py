"""Scikit-learn's steps behind a network, in a file: each gives what it gives in the pipeline."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest
import skl2onnx
import torch
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA, FastICA, KernelPCA, TruncatedSVD
from sklearn.discriminant_analysis import (
    LinearDiscriminantAnalysis,
    QuadraticDiscriminantAnalysis,
)
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.feature_selection import (
    RFE,
    SelectFromModel,
    SelectKBest,
    SelectPercentile,
    VarianceThreshold,
)
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import (
    BayesianRidge,
    ElasticNet,
    HuberRegressor,
    LinearRegression,
    LogisticRegression,
    Perceptron,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor
from sklearn.naive_bayes import BernoulliNB, GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor, NearestCentroid
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import (
    Binarizer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    SplineTransformer,
    StandardScaler,
)
from sklearn.svm import SVC, SVR, LinearSVC, LinearSVR, NuSVC
from sklearn.tree import DecisionTreeClassifier

from sklearn_pretrained import ModuleFeaturizer, export_onnx
from sklearn_pretrained.exceptions import ExportError
from sklearn_pretrained.export import _graph, _mixtures
from sklearn_pretrained.export._agreement import agreement
from sklearn_pretrained.export._standins import numbers_for_truths
from sklearn_pretrained.exported import load

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:.*probability.*:FutureWarning"),
]
LR = LogisticRegression(max_iter=500)


@pytest.fixture(scope="module", autouse=True)
def network():
    """One network, whose graph is made once."""
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(8, 6), torch.nn.Tanh())
    made, export = [], _graph.graph_of_network

    def once(network, keep):
        if not made:
            made.append(export(network, keep))
        twin = type(made[0])()
        twin.CopyFrom(made[0])
        return twin

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_graph, "graph_of_network", once)
        yield ModuleFeaturizer(module, layer="output")


@pytest.fixture(scope="module")
def data():
    """Rows, and targets of many kinds."""
    random = np.random.default_rng(0)
    X = random.normal(size=(80, 8)).astype(np.float32)
    scores = X @ random.normal(size=(8, 3))
    return X, {
        "two": np.array(["no", "yes"])[(scores[:, 0] > 0).astype(int)],
        "bools": scores[:, 0] > 0,
        "three": np.array(["a", "b", "long name"])[scores.argmax(1)],
        "numbered": 3 * scores.argmax(1) + 2,
        "several": (scores > 0).astype(int),
        "number": scores[:, 0],
        "numbers": scores,
    }


SMALL = {"n_estimators": 8, "random_state": 0}
CLASSIFIERS = [
    LR,
    RidgeClassifier(),
    SGDClassifier(random_state=0),
    LinearSVC(),
    SVC(),
    SVC(kernel="linear"),
    CalibratedClassifierCV(LinearSVC(), cv=2),
    DecisionTreeClassifier(max_depth=4, random_state=0),
    RandomForestClassifier(**SMALL),
    ExtraTreesClassifier(**SMALL),
    GradientBoostingClassifier(**SMALL),
    HistGradientBoostingClassifier(max_iter=8),
    AdaBoostClassifier(**SMALL),
    BaggingClassifier(LR, n_estimators=3, random_state=0),
    KNeighborsClassifier(3),
    MLPClassifier((8,), max_iter=50, random_state=0),
    LinearDiscriminantAnalysis(),
    QuadraticDiscriminantAnalysis(reg_param=0.1),
    GaussianNB(),
    VotingClassifier([("one", LR), ("two", GaussianNB())], voting="soft"),
    StackingClassifier([("one", LR), ("two", GaussianNB())], cv=2),
    OneVsRestClassifier(LR),
    SVC(probability=True, random_state=0),
    NuSVC(nu=0.2),
    CalibratedClassifierCV(SVC(), cv=2),
    OneVsOneClassifier(LR),
    StackingClassifier([("one", LR), ("two", DecisionTreeClassifier(max_depth=3))], cv=2),
    Perceptron(),
    BernoulliNB(),
]
OTHERS = [
    ("several", OneVsRestClassifier(LR)),
    ("several", MultiOutputClassifier(LR)),
    ("several", KNeighborsClassifier(3)),
    ("several", RandomForestClassifier(**SMALL)),
    ("several", MLPClassifier((8,), max_iter=50, random_state=0)),
    ("number", LinearRegression()),
    ("number", Ridge()),
    ("numbers", Ridge()),
    ("number", ElasticNet(0.1)),
    ("number", SVR()),
    ("number", LinearSVR()),
    ("number", RandomForestRegressor(**SMALL)),
    ("number", HistGradientBoostingRegressor(max_iter=8)),
    ("number", KNeighborsRegressor(3)),
    ("number", MLPRegressor(hidden_layer_sizes=(8,), max_iter=50, random_state=0)),
    ("numbers", MultiOutputRegressor(Ridge())),
    ("several", RidgeClassifier()),
    ("number", StackingRegressor([("one", Ridge()), ("two", LinearSVR())], cv=2)),
    ("number", VotingRegressor([("one", Ridge()), ("two", LinearSVR())])),
    ("number", GradientBoostingRegressor(**SMALL)),
    ("number", HuberRegressor()),
    ("number", BayesianRidge()),
    ("number", GaussianProcessRegressor()),
    ("numbers", PLSRegression(2)),
    ("numbers", RandomForestRegressor(**SMALL)),
    ("bools", LR),
    ("bools", LinearDiscriminantAnalysis()),
]
TRANSFORMERS = [
    StandardScaler(),
    MinMaxScaler(),
    MaxAbsScaler(),
    RobustScaler(),
    Normalizer(),
    PCA(3, whiten=True),
    TruncatedSVD(3),
    SelectKBest(k=4),
    VarianceThreshold(),
    PowerTransformer(),
    QuantileTransformer(n_quantiles=20),
    PolynomialFeatures(2),
    LinearDiscriminantAnalysis(n_components=1),
    KBinsDiscretizer(3, encode="ordinal", strategy="uniform"),
    KBinsDiscretizer(3, encode="onehot-dense", strategy="uniform"),
    KMeans(4, n_init=1, random_state=0),
    KernelPCA(3, kernel="rbf"),
    SelectFromModel(LR),
    RFE(LR, n_features_to_select=3),
    SelectPercentile(percentile=50),
    Binarizer(),
    SimpleImputer(),
    make_pipeline(StandardScaler(), PCA(4), SelectKBest(k=2)),
    make_union(PCA(2), SelectKBest(k=2)),
]
REFUSED = [
    NearestCentroid(),
    GaussianProcessClassifier(),
    OutputCodeClassifier(LR, random_state=0),
    make_pipeline(FastICA(3, whiten="unit-variance", random_state=0), LR),
    make_pipeline(SplineTransformer(), LR),
    make_pipeline(KNNImputer(), LR),
    FixedThresholdClassifier(LinearSVC()),
    VotingClassifier([("one", FixedThresholdClassifier(LR)), ("two", LR)]),
]
"""What skl2onnx does not convert, or not as scikit-learn computes it."""


def compared(steps, X, y, path):
    """Export a pipeline; hold each method of the file to the pipeline's."""
    pipeline = make_pipeline(*steps).fit(X, y)
    facts = export_onnx(pipeline, path, examples=X[:20])
    file = load(path, threads=1)
    methods = {"predict", "predict_proba", "decision_function"} & set(facts["outputs"])
    assert "predict" in methods
    for method in methods:
        got, expected = getattr(file, method)(X), getattr(pipeline, method)(X)
        assert type(got) is type(expected)
        got, expected = np.asarray(got), np.asarray(expected)  # of several outputs, a list
        assert got.shape == expected.shape
        if method == "predict" and expected.dtype.kind != "f":
            assert got.dtype == expected.dtype
            assert (got == expected).all()
        else:
            np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4)
    return facts


@pytest.mark.parametrize("head", CLASSIFIERS, ids=lambda head: type(head).__name__)
def test_classifiers_give_the_same_for_two_and_three_classes(head, network, data, tmp_path):
    """Named by words and by numbers."""
    X, targets = data
    for task in ("two", "three", "numbered"):
        compared([network, head], X, targets[task], tmp_path / f"{task}.onnx")


@pytest.mark.parametrize(("task", "head"), OTHERS, ids=lambda head: str(head).partition("(")[0])
def test_several_labels_and_numbers_are_the_same(task, head, network, data, tmp_path):
    """Of rows with any number of labels, and of one or several numbers."""
    compared([network, head], data[0], data[1][task], tmp_path / "head.onnx")


@pytest.mark.parametrize("step", TRANSFORMERS, ids=lambda step: type(step).__name__)
def test_transformers_give_the_same_rows(step, network, data, tmp_path):
    """In front of a head."""
    X, targets = data
    facts = compared([network, step, LR], X, targets["two"], tmp_path / "rows.onnx")

    assert max(entry["largest"] for entry in facts["report"]) < 1e-4


def test_outliers_are_found_by_files_too(network, data, tmp_path):
    """By an isolation forest."""
    compared([network, IsolationForest(**SMALL)], data[0], None, tmp_path / "odd.onnx")


@pytest.mark.parametrize("head", REFUSED, ids=str)
def test_what_is_not_converted_is_named(head, network, data, tmp_path):
    """With its step, and what to do; nothing is written."""
    X, targets = data
    pipeline = make_pipeline(network, head).fit(X, targets["two"])
    with pytest.raises(TypeError, match=r"(?s)Step '[\w/]+' \(\w+\) .* Use "):
        export_onnx(pipeline, tmp_path / "no.onnx", examples=X[:9])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "head",
    [
        TunedThresholdClassifierCV(LR, cv=3, random_state=0),
        FixedThresholdClassifier(LR, threshold=0.9),
        FixedThresholdClassifier(GaussianNB(), threshold=0.8, pos_label="no"),
        FixedThresholdClassifier(LR),
    ],
    ids=str,
)
def test_a_threshold_decides_in_the_file_too(head, network, data, tmp_path):
    """And not one half, as skl2onnx would have it."""
    X, targets = data
    compared([network, head], X, targets["two"], tmp_path / "threshold.onnx")


@pytest.mark.parametrize(
    "case",
    [
        (
            "numbers",
            MLPRegressor(hidden_layer_sizes=(8,), max_iter=50, random_state=0),
            r"Step 'mlpregressor' gives predict of shape",
        ),
        (
            "two",
            VotingClassifier([("one", LR), ("two", GaussianNB()), ("three", LinearSVC())]),
            r"Step 'votingclassifier' differs: .* its predict is",
        ),
        (
            "two",
            StackingClassifier([("one", SVC()), ("two", LR)], cv=2),
            r"Step 'stackingclassifier' fails in the file: .* Use another estimator",
        ),
    ],
    ids=["shape", "labels", "fails"],
)
def test_what_is_converted_otherwise_is_refused(case, network, data, tmp_path):
    """The comparison notices; nothing is written."""
    (task, head, says), (X, targets) = case, data
    pipeline = make_pipeline(network, head).fit(X, targets[task])
    with pytest.raises(ExportError, match=says):
        export_onnx(pipeline, tmp_path / "no.onnx", examples=X[:20])
    assert list(tmp_path.iterdir()) == []


def test_examples_that_do_not_show_what_differs_are_mixed(network, data, tmp_path):
    """Each step must agree between them as well."""
    X, targets = data
    heads = [("one", LR), ("two", GaussianNB()), ("three", LinearSVC())]
    pipeline = make_pipeline(network, VotingClassifier(heads)).fit(X, targets["two"])
    export_onnx(pipeline, tmp_path / "any.onnx", examples=X, tolerance=np.inf)
    agree = load(tmp_path / "any.onnx").predict(X) == pipeline.predict(X)
    assert 20 < agree.sum() < len(X)

    with pytest.raises(ExportError, match=r"'votingclassifier' differs: for mixtures of the exam"):
        export_onnx(pipeline, tmp_path / "no.onnx", examples=X[agree])
    assert not (tmp_path / "no.onnx").exists()


def test_mixtures_lie_between_the_examples():
    """Columns that are the same for all stay so, as those of units that are never active."""
    rows = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    rows[:, 2] = 0
    mixed = _mixtures.mixtures(rows)

    assert mixed.dtype == np.float32
    assert (mixed[:, 2] == 0).all()
    assert not (mixed[:, None] == rows).all(axis=2).any()
    assert np.abs(mixed).max() < 1.5 * np.abs(rows).max()


def test_mixtures_of_whole_numbers_are_among_them():
    """Codes and counts have nothing between them; a gap is no number, and is left alone."""
    dice = np.random.default_rng(0)
    rows = np.c_[dice.normal(size=9), dice.integers(0, 4, 9), dice.normal(size=9)]
    rows[3, 2] = np.nan
    mixed = _mixtures.mixtures(rows.astype(np.float32))

    assert set(mixed[:, 1]) <= set(rows[:, 1])
    assert 0 < np.isfinite(mixed[:, 2]).sum() < len(mixed)


@pytest.mark.parametrize("unknown", ["ignore", "error"])
def test_numbers_that_name_categories_are_exported(network, unknown, tmp_path):
    """One-hot columns of codes beside a network's rows, as they lie in one array of floats."""
    dice = np.random.default_rng(0)
    X = np.c_[dice.normal(size=(60, 8)), dice.integers(0, 4, 60)].astype(np.float32)
    steps = make_column_transformer(
        (network, list(range(8))),
        (OneHotEncoder(handle_unknown=unknown), [8]),
    )
    pipeline = make_pipeline(steps, LR).fit(X, X[:, 8] > 1)
    export_onnx(pipeline, tmp_path / "codes.onnx", examples=X[:20])
    found = load(tmp_path / "codes.onnx").predict_proba(X)

    np.testing.assert_allclose(found, pipeline.predict_proba(X), atol=1e-5)


def test_of_several_targets_the_one_that_agrees_least_counts():
    """A target of small numbers is not lost beside one of large numbers; rows are one thing."""
    wanted = np.random.default_rng(0).normal(size=(50, 2)) * [1e6, 1]
    found = wanted.copy()
    found[:, 1] = 0

    assert agreement("transform", found, wanted) > 0.999
    assert agreement("predict", found, wanted) < 0.1
    assert agreement("predict", wanted, wanted) == 1


def test_this_release_of_skl2onnx_makes_nodes_where_truths_become_numbers():
    """A release that moves the name, which is not public, is named."""
    release = f"skl2onnx {skl2onnx.__version__}"
    try:
        make_node = import_module("skl2onnx.common._container").make_node
    except (ImportError, AttributeError) as error:
        pytest.fail(f"{release} moved {error}: trees that treat missing values are not converted")
    with numbers_for_truths():
        replaced = import_module("skl2onnx.common._container").make_node
        node = replaced("Any", ["x"], ["y"], name="n", truths=[True, False])

    assert replaced is not make_node
    assert [*node.attribute[0].ints] == [1, 0]
