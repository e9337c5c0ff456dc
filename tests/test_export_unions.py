"""Several networks, tables and nested steps as one file: the same X, the same answers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.compose import ColumnTransformer, make_column_selector, make_column_transformer
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline, make_union
from sklearn.preprocessing import (
    KBinsDiscretizer,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
)

from sklearn_pretrained import (
    ModuleFeaturizer,
    PretrainedImageFeaturizer,
    PretrainedTextFeaturizer,
    export_onnx,
)
from sklearn_pretrained.exceptions import BadItemError
from sklearn_pretrained.exported import load

from .text_zoo import make_folder

pytestmark = pytest.mark.filterwarnings("ignore:weights=None")
MOODS = np.array(["good", "bad"])[np.arange(24) % 2]


@pytest.fixture(scope="module")
def table(patches):
    """Pictures, texts, numbers and words beside each other."""
    lengths = np.arange(24) % 5
    return pd.DataFrame(
        {
            "age": np.linspace(20, 70, 24),
            "photo": [picture[: 100 + 3 * i] for i, picture in enumerate(patches)],
            "visits": np.arange(24),
            "text": [" ".join(["the cat sat on a mat"] * (n + 1)) for n in lengths],
            "town": np.array(["Rome", "Oslo", "Bonn"])[np.arange(24) % 3],
            "unread": [None] * 24,
        }
    )


@pytest.fixture(scope="module")
def mixed(table, tmp_path_factory):
    """A pipeline over all of them, its file, and what the file says."""
    folder = tmp_path_factory.mktemp("mixed")
    torch.manual_seed(0)
    encoder = PretrainedTextFeaturizer(str(make_folder(folder / "bert", "BERT")))
    photos = PretrainedImageFeaturizer("timm/test_efficientnet", weights=None, layer=0.5)
    columns = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), ["age", "visits"]),
            ("picture", make_pipeline(photos, PCA(4)), "photo"),
            ("text", encoder, "text"),
            ("town", OneHotEncoder(), ["town"]),
            ("no", "drop", ["unread"]),
        ]
    )
    pipeline = make_pipeline(columns, LogisticRegression()).fit(table, MOODS)
    path = folder / "mixed.onnx"
    return pipeline, path, export_onnx(pipeline, path, examples=table)


def make_mlp(reads=8, gives=16):
    """Make a network over some numbers."""
    return torch.nn.Sequential(
        torch.nn.Linear(reads, 12), torch.nn.Tanh(), torch.nn.Linear(12, gives)
    )


def numbers(n=40):
    X = np.random.default_rng(0).normal(size=(n, 8)).astype(np.float32)
    return X, X[:, 0] + X[:, 1] > 0


def exported(pipeline, X, tmp_path):
    """Write a file, and check that it gives the pipeline's probabilities."""
    facts = export_onnx(pipeline, tmp_path / "file.onnx", examples=X)
    file = load(tmp_path / "file.onnx")
    np.testing.assert_allclose(file.predict_proba(X), pipeline.predict_proba(X), atol=1e-5)
    assert (file.predict(X) == pipeline.predict(X)).all()
    return file, facts


def test_pictures_texts_numbers_and_words_are_one_file(mixed, table):
    """A DataFrame, its columns in another order, and a dictionary of columns are read alike."""
    pipeline, path, facts = mixed
    file = load(path)
    expected = pipeline.predict_proba(table)

    for X in (table, table[table.columns[::-1]], {name: list(table[name]) for name in table}):
        np.testing.assert_allclose(file.predict_proba(X), expected, atol=1e-5)
    assert file.predict(table).tolist() == pipeline.predict(table).tolist()
    np.testing.assert_allclose(file.transform(table), pipeline[:-1].transform(table), atol=1e-4)
    assert list(facts["provenance"]) == ["picture/pretrainedimagefeaturizer", "text"]
    assert facts["feature_names"] == pipeline[:-1].get_feature_names_out().tolist()


def test_inputs_of_one_file_carry_the_names_of_their_branches(mixed):
    """Such as other programs feed them."""
    import onnx

    names = [value.name for value in onnx.load(mixed[1]).graph.input]

    assert names == [
        "picture/pretrainedimagefeaturizer/images",
        "text/input_ids",
        "text/attention_mask",
        "numbers/simpleimputer/columns/float32-0",
        "town/columns/string-0",
    ]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"age": [np.nan] * 24}, r"Item 0 of column 'age' is nan"),
        ({"town": ["Rome"] * 23 + [None]}, r"Item 23 of column 'town' is "),
        ({"text": ["a"] * 23 + [None]}, r"Item 23 of X"),
        ({"photo": [b"none"] * 24}, r"Item 0 of X"),
    ],
)
def test_odd_cells_are_named(change, says, mixed, table):
    """By their place and column."""
    with pytest.raises(BadItemError, match=says):
        load(mixed[1]).predict(table.assign(**change))


def test_columns_that_are_missing_or_of_other_lengths_are_named(mixed, table):
    """Before anything is computed."""
    with pytest.raises(ValueError, match="X has no column 'text'"):
        load(mixed[1]).predict(table.drop(columns="text"))
    columns = {name: list(table[name]) for name in table}
    with pytest.raises(ValueError, match="different lengths: "):
        load(mixed[1]).predict(columns | {"text": ["a"]})


@pytest.mark.parametrize("encoder", [OneHotEncoder, OrdinalEncoder])
@pytest.mark.parametrize("filled", [False, True])
def test_categories_that_an_encoder_does_not_know_are_refused_as_in_scikit_learn(
    encoder, filled, tmp_path
):
    """By their place, words and numbers, where gaps are filled first too."""
    X, y = numbers(24)
    table = pd.DataFrame(X).add_prefix("c")
    table["town"] = np.array(["Rome", "Oslo", "Bonn"])[np.arange(24) % 3]
    table["size"] = np.arange(24) % 3
    before = [SimpleImputer()] if filled else []
    columns = make_column_transformer(
        (ModuleFeaturizer(make_mlp()), slice(0, 8)),
        (encoder(), ["town"]),
        (make_pipeline(*before, encoder()), ["size"]),
    )
    pipeline = make_pipeline(columns, LogisticRegression()).fit(table, y)
    file, _ = exported(pipeline, table, tmp_path)

    for column, other in (("town", "Paris"), ("size", 7)):
        odd = table.copy()
        odd.loc[5, column] = other
        with pytest.raises(ValueError, match="unknown categories"):
            pipeline.predict(odd)
        with pytest.raises(BadItemError, match=f"Item 5 of column '{column}' is .*{other}"):
            file.predict(odd)


def test_unknown_categories_are_coded_as_the_encoder_was_told(tmp_path):
    """As nothing, or as a number of their own."""
    X, y = numbers(24)
    table = pd.DataFrame(X).add_prefix("c")
    table["town"] = np.array(["Rome", "Oslo", "Bonn"])[np.arange(24) % 3]
    encoders = [
        OneHotEncoder(handle_unknown="ignore"),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
    ]
    columns = make_column_transformer(
        (ModuleFeaturizer(make_mlp()), slice(0, 8)), *((one, ["town"]) for one in encoders)
    )
    pipeline = make_pipeline(columns, LogisticRegression()).fit(table, y)
    file, _ = exported(pipeline, table, tmp_path)
    odd = table.assign(town="Paris")

    np.testing.assert_allclose(file.predict_proba(odd), pipeline.predict_proba(odd), atol=1e-5)


@pytest.mark.parametrize("encoder", [OrdinalEncoder(), OneHotEncoder()])
def test_an_encoder_whose_file_could_refuse_nothing_is_not_exported(encoder, tmp_path):
    """One that codes what another step makes."""
    X, y = numbers(24)
    binned = make_pipeline(KBinsDiscretizer(3, encode="ordinal"), encoder)
    union = make_union(ModuleFeaturizer(make_mlp()), binned)
    pipeline = make_pipeline(union, LogisticRegression()).fit(X, y)
    with pytest.raises(TypeError, match=r"Step .*encoder.* reads what another step makes"):
        export_onnx(pipeline, tmp_path / "no.onnx", examples=X)


def test_networks_that_read_the_same_pictures_share_an_input(patches, tmp_path):
    """Their normalisation is in the graph."""
    names = ["timm/test_efficientnet", "timm/test_vit"]
    networks = [PretrainedImageFeaturizer(name, weights=None, layer=0.5) for name in names]
    union = FeatureUnion(
        [("one", networks[0]), ("two", make_pipeline(networks[1], PCA(3))), ("no", "drop")],
        transformer_weights={"one": 0.5},
    )
    file, facts = exported(
        make_pipeline(union, LogisticRegression()).fit(patches, MOODS), patches, tmp_path
    )

    assert [part["prefix"] for part in facts["input"]["parts"]] == ["one/"]
    np.testing.assert_allclose(file.transform(patches), union.transform(patches), atol=1e-4)


def test_a_network_beside_plain_steps_over_all_of_x(tmp_path):
    """Scaled numbers, and the numbers themselves."""
    X, y = numbers()
    union = FeatureUnion(
        [
            ("network", ModuleFeaturizer(make_mlp())),
            ("scaled", StandardScaler()),
            ("same", "passthrough"),
        ]
    )
    exported(make_pipeline(union, PCA(5), LogisticRegression()).fit(X, y), X, tmp_path)


def test_texts_beside_their_words(tmp_path):
    """An encoder and counted words."""
    torch.manual_seed(0)
    encoder = PretrainedTextFeaturizer(str(make_folder(tmp_path / "gpt", "GPT-2")), pooling="mean")
    X = ["the cat sat", "on a mat", "and then it slept", "rain fell softly"] * 3
    union = make_union(encoder, TfidfVectorizer(lowercase=False))
    exported(make_pipeline(union, LogisticRegression()).fit(X, MOODS[:12]), X, tmp_path)


@pytest.mark.parametrize("X", [numbers()[0], pd.DataFrame(numbers()[0]).add_prefix("c")])
def test_columns_by_place_slice_and_selector(X, tmp_path):
    """Arrays and frames; the rest passes through; unions within unions; steps that do nothing."""
    y = numbers()[1]
    network = ModuleFeaturizer(make_mlp(4, 6))
    inner = make_union(network, make_pipeline("passthrough", StandardScaler()))
    columns = make_column_transformer((inner, slice(2, 6)), remainder="passthrough")
    pipeline = Pipeline(
        [
            ("columns", columns),
            ("no", "passthrough"),
            ("end", make_pipeline(PCA(4), LogisticRegression())),
        ]
    )
    exported(pipeline.fit(X, y), X, tmp_path)
    if isinstance(X, pd.DataFrame):
        selected = make_column_transformer(
            (ModuleFeaturizer(make_mlp()), make_column_selector(pattern="c"))
        )
        exported(make_pipeline(selected, LogisticRegression()).fit(X, y), X, tmp_path)


def test_rows_of_a_list_are_read_by_place(tmp_path):
    """As a ColumnTransformer reads them."""
    X, y = numbers()
    rows = [[*row, ("one", "two")[i % 2]] for i, row in enumerate(X.tolist())]
    columns = make_column_transformer(
        (ModuleFeaturizer(make_mlp()), slice(8)), (OrdinalEncoder(), [8])
    )
    pipeline = make_pipeline(columns, LogisticRegression()).fit(rows, y)
    file, _ = exported(pipeline, rows, tmp_path)

    with pytest.raises(ValueError, match="reads a table with 9 columns"):
        file.predict(X)


def test_missing_numbers_are_filled_where_the_examples_hold_some(tmp_path):
    """Else they are refused, since nothing was proven of them."""
    X, y = numbers()
    holes = X.copy()
    holes[::3, 0] = np.nan
    columns = make_column_transformer(
        (SimpleImputer(), [0, 1]), (ModuleFeaturizer(make_mlp(6, 4)), slice(2, 8))
    )
    pipeline = make_pipeline(columns, LogisticRegression()).fit(holes, y)
    exported(pipeline, holes, tmp_path)
    file, _ = exported(pipeline, X, tmp_path)

    with pytest.raises(BadItemError, match="Item 0 of column 0 is nan"):
        file.predict(holes)


def test_the_best_of_a_search_is_exported(tmp_path):
    """With the network inside it, and where only the head was searched for."""
    X, y = numbers()
    whole = make_pipeline(ModuleFeaturizer(make_mlp()), LogisticRegression())
    search = GridSearchCV(whole, {"modulefeaturizer__layer": [0, "output"]}, cv=2).fit(X, y)
    exported(search, X, tmp_path)
    head = GridSearchCV(LogisticRegression(), {"C": [0.1, 1]}, cv=2)
    exported(make_pipeline(ModuleFeaturizer(make_mlp()), head).fit(X, y), X, tmp_path)


def test_strings_cannot_pass_through(tmp_path):
    """The error says what to do."""
    X = pd.DataFrame({"a": [1.0, 2.0], "word": ["x", "y"]})
    columns = make_column_transformer(
        (ModuleFeaturizer(make_mlp(1, 3)), ["a"]), ("passthrough", ["word"])
    ).fit(X)
    with pytest.raises(TypeError, match="passes strings on"):
        export_onnx(columns, tmp_path / "no.onnx", examples=X)
