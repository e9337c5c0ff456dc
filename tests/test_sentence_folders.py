"""Folders that sentence-transformers wrote: equal to its ``encode``, or refused by file and key."""

from __future__ import annotations

import inspect
import json
import pickle
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import (
    SentenceTransformer,
    cross_encoder,
    multi_vector_encoder,
    sparse_encoder,
)
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer import modules as st
from sentence_transformers.sentence_transformer.modules import pooling as st_pooling

from sklearn_pretrained import FeatureCache, embed_weights
from sklearn_pretrained.backbones.transformers import (
    _sentence_folders,
    _sentence_keys,
    _sentence_steps,
)
from sklearn_pretrained.exceptions import (
    LayerError,
    ProvenanceError,
    RandomWeightsWarning,
    WeightsError,
)
from sklearn_pretrained.running import eager
from tests import sentence_zoo, text_zoo
from tests.conftest import relative_error
from tests.sentence_zoo import TEXTS, encode, featurizer

MODEL = "config_sentence_transformers.json"
TRANSFORMER = "sentence_bert_config.json"
KNOWN = {
    "modules.json": _sentence_keys.MODULES,
    MODEL: _sentence_keys.MODEL,
    TRANSFORMER: _sentence_keys.TRANSFORMER,
    "1_Pooling/config.json": _sentence_keys.POOLING,
    "2_Dense/config.json": _sentence_keys.DENSE,
    "3_LayerNorm/config.json": _sentence_keys.LAYER_NORM,
    "4_Normalize/config.json": _sentence_keys.NORMALIZE,
    "5_Dropout/config.json": _sentence_keys.DROPOUT,
}
PARTS = _sentence_keys.PARTS


@pytest.fixture(scope="module")
def chain(tmp_path_factory) -> Path:
    """Save a folder with one of each module that is read."""
    torch.manual_seed(0)
    behind = (st.Dense(16, 12), st.LayerNorm(12), st.Normalize(), st.Dropout())
    make = sentence_zoo.behind(*behind, prompts={"query": "then it "})
    return sentence_zoo.save(make, tmp_path_factory.mktemp("chain"))


@pytest.fixture
def folder(chain, tmp_path) -> Path:
    """Copy that folder, so that a test may change it."""
    eager.unload()
    return Path(shutil.copytree(chain, tmp_path / "copy"))


def edit(folder: Path, place: str, **values) -> None:
    """Change keys of a file; in modules.json, of its last entry."""
    path = folder / place
    found = json.loads(path.read_text()) if path.exists() else {}
    (found[-1] if isinstance(found, list) else found).update(values)
    path.write_text(json.dumps(found))


def why_refused(folder: Path) -> str:
    """Return what fit says, nothing where it accepts a folder."""
    try:
        featurizer(folder).fit(TEXTS)
    except LayerError as error:
        return str(error)
    return ""


def assert_equal(folder: Path, **options) -> None:
    ours = featurizer(folder, **options).fit_transform(TEXTS)
    assert relative_error(ours, encode(folder, TEXTS)) < sentence_zoo.TOLERANCE


# -- every folder


@pytest.mark.parametrize("name", sentence_zoo.EQUAL)
def test_auto_equals_encode_for_every_module_that_is_read(name, tmp_path):
    """Every pooling and chain, texts of many lengths together against each alone."""
    eager.unload()
    assert_equal(sentence_zoo.save(sentence_zoo.EQUAL[name], tmp_path))


@pytest.mark.parametrize("name", sentence_zoo.REFUSED)
def test_other_modules_are_refused_with_their_own_reason(name, tmp_path):
    """At fit, and never left out."""
    make, message = sentence_zoo.REFUSED[name]
    with pytest.raises((LayerError, WeightsError), match=message):
        featurizer(sentence_zoo.save(make, tmp_path)).fit(TEXTS)


def test_every_module_of_sentence_transformers_is_read_or_refused_with_a_reason():
    """Whatever it exports today."""
    known = {"Transformer", "Pooling", *_sentence_steps.STEPS, *_sentence_folders.REFUSED}
    kinds = (sparse_encoder, multi_vector_encoder, cross_encoder)
    places = (st, *(kind.modules for kind in kinds))
    exported = {name for place in places for name in place.__all__} - {"Module", "InputModule"}

    assert exported <= known


# -- every key


class Recorder(dict):
    """A dictionary that notes which of its keys are asked for."""

    def __init__(self, found, seen):
        super().__init__(found)
        self.seen = seen

    def __getitem__(self, key):
        self.seen.add(key)
        return super().__getitem__(key)

    def __contains__(self, key):
        self.seen.add(key)
        return super().__contains__(key)

    def get(self, key, *default):
        self.seen.add(key)
        return super().get(key, *default)

    def pop(self, key, *default):
        self.seen.add(key)
        return super().pop(key, *default)

    def setdefault(self, key, *default):
        self.seen.add(key)
        return super().setdefault(key, *default)


def test_every_key_that_the_loader_asks_for_is_known(folder, monkeypatch):
    """Noted while SentenceTransformer loads a folder: no key is ignored because it is unknown."""
    seen: dict[str, set] = {}
    whole = json.load

    def noting(file, **options):
        place = Path(file.name).relative_to(folder).as_posix()
        noted = seen.setdefault(place, set())
        found = whole(file, **options)
        if isinstance(found, list):
            return [Recorder(one, noted) for one in found]
        return Recorder(found, noted)

    monkeypatch.setattr(json, "load", noting)
    SentenceTransformer(str(folder), device="cpu")

    assert {*KNOWN} <= {*seen}
    assert "requirements" in seen[MODEL]
    for place, known in KNOWN.items():
        assert seen[place] <= known.keys(), place


def test_every_key_that_a_module_takes_or_writes_is_known():
    """From their own signatures, lists of keys and tables of old names."""
    pooling = {*st_pooling._LEGACY_POOLING_MODE_KWARGS, *st.Pooling.config_key_renames}
    modules = {
        Transformer: (_sentence_keys.TRANSFORMER, {"model_name_or_path"}),
        st.Pooling: (_sentence_keys.POOLING, set()),
        # These two are tensors, which no JSON holds.
        st.Dense: (_sentence_keys.DENSE, {"init_weight", "init_bias"}),
        st.LayerNorm: (_sentence_keys.LAYER_NORM, set()),
        st.Normalize: (_sentence_keys.NORMALIZE, set()),
        st.Dropout: (_sentence_keys.DROPOUT, set()),
    }
    for module, (known, not_in_files) in modules.items():
        taken = inspect.signature(module.__init__).parameters.keys() - {"self"}
        assert {*taken, *module.config_keys} - not_in_files <= known.keys()
    assert pooling <= _sentence_keys.POOLING.keys()


def test_every_old_name_of_the_transformers_file_is_known():
    """In the order in which the loader looks for them."""
    named = re.findall(r"sentence_[a-z-]+_config\.json", inspect.getsource(Transformer.load_config))

    assert tuple(named) == _sentence_folders._TRANSFORMER_FILES


_ODD_HUB = {
    "subfolder": "elsewhere", "token": "a", "cache_dir": "elsewhere", "revision": "other",
    "local_files_only": False, "trust_remote_code": True,
}  # fmt: skip
ODD = {
    "modules.json": {
        "idx": 9, "name": "other", "kwargs": ["task"], "type": "custom.Dropout", "path": "../5",
    },
    MODEL: {
        "prompts": {"q": "the "}, "default_prompt_name": "query", "truncate_dim": 5,
        "model_type": "SparseEncoder", "requirements": {"torch": ">=99"},
        "similarity_fn_name": "dot", "__version__": {},
    },
    TRANSFORMER: {
        **{part: {"num_hidden_layers": 2} for part in PARTS},
        "max_seq_length": 4, "do_lower_case": True, "transformer_task": "fill-mask",
        "modality_config": {"text": {"method": "forward", "method_output_name": "hidden_states"}},
        "module_output_name": "sentence_embedding",
        "processing_kwargs": {"text": {"add_special_tokens": False}},
        "tokenizer_name_or_path": "elsewhere", "query_length": 4, "document_length": 4,
        "query_expansion": {"strategy": "fixed", "length": 5, "token": "[CLS]"},
        "unpad_inputs": False, "backend": "onnx", "cache_dir": "elsewhere",
    },
    "1_Pooling/config.json": {
        "pooling_mode": "lasttoken", "include_prompt": False, "embedding_dimension": 7,
    },
    "2_Dense/config.json": {
        "activation_function": "torch.nn.modules.activation.ReLU", "use_residual": "yes",
        "in_features": 0, "out_features": "many", "bias": 3,
        "module_input_name": "token_embeddings", "module_output_name": "other",
    },
    "3_LayerNorm/config.json": {"dimension": -1},
    "4_Normalize/config.json": {
        "module_input_name": "token_embeddings", "module_output_name": "other",
    },
    "5_Dropout/config.json": {"dropout": 0.9},
}  # fmt: skip
"""A value for each key that is not the usual one."""
ODD_PARTS = {
    "model": {**_ODD_HUB, "dtype": "float32", "torch_dtype": "float32",
              "attn_implementation": "eager"},
    "config": {**_ODD_HUB, "use_cache": True},
    "processor": {**_ODD_HUB, "model_max_length": 4, "padding_side": "left"},
    "tokenizer": {**_ODD_HUB, "model_max_length": 4, "padding_side": "left"},
}  # fmt: skip
OLD = st_pooling._LEGACY_POOLING_MODE_KWARGS


def test_the_walk_leaves_out_no_key():
    """Each that is known is given an odd value below."""
    old = {"1_Pooling/config.json": {*OLD, "word_embedding_dimension"}}
    for place, known in KNOWN.items():
        assert {*ODD[place], *old.get(place, ())} == {*known}
    for part, known in PARTS.items():
        assert ODD_PARTS[part.partition("_")[0]].keys() == known.keys()


@pytest.mark.parametrize(
    ("place", "key", "value"),
    [(place, key, value) for place, odd in ODD.items() for key, value in odd.items()],
)
def test_any_value_of_a_key_is_followed_or_refused_by_name(folder, place, key, value):
    """What is called irrelevant moves no row of encode either."""
    edit(folder, place, **{key: value})
    refused = why_refused(folder)
    if not refused:
        assert_equal(folder)
    else:
        assert place in refused
        assert key in refused
        assert not isinstance(KNOWN[place][key], str), "an irrelevant key is not refused"


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        (part, key, value)
        for part in PARTS
        for key, value in ODD_PARTS[part.partition("_")[0]].items()
    ],
)
def test_what_the_transformer_is_loaded_with_is_followed(folder, part, key, value):
    """Length, precision and the like, under new and old names."""
    edit(folder, TRANSFORMER, **{part: {key: value}})
    assert_equal(folder)


@pytest.mark.parametrize("mode", [*OLD, None])
def test_old_names_of_poolings_are_followed(folder, mode):
    """One true flag, two, or none at all, which is the mean."""
    place = folder / "1_Pooling/config.json"
    flags = {name: name == mode for name in OLD}
    place.write_text(json.dumps({"word_embedding_dimension": 16, **flags}))
    assert_equal(folder)


@pytest.mark.parametrize("place", [*KNOWN, *(f"{TRANSFORMER}:{part}" for part in PARTS)])
def test_an_unknown_key_is_refused_by_name(folder, place):
    """Whatever it may come to mean."""
    place, _, part = place.partition(":")
    edit(folder, place, **({part: {"unheard_of": 1}} if part else {"unheard_of": 1}))

    with pytest.raises(LayerError, match=re.escape(place) + ".*'unheard_of'.*pooling='mean'"):
        featurizer(folder).fit(TEXTS)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "3", "[3]", "null", '{"type": []}'])
@pytest.mark.parametrize("place", KNOWN)
def test_a_file_of_another_form_is_refused_or_read(folder, place, content):
    """Never a raw error, and never other rows than encode's."""
    (folder / place).write_text(content)
    refused = why_refused(folder)
    if not refused:
        assert_equal(folder)
    else:
        assert place in refused


@pytest.mark.parametrize(
    "kind", ["roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet"]
)
def test_the_length_is_read_under_every_name_of_its_file(folder, kind):
    """As older versions named it."""
    (folder / TRANSFORMER).unlink()
    edit(folder, f"sentence_{kind}_config.json", max_seq_length=4)

    assert featurizer(folder)._backbone().max_length == 4
    assert_equal(folder)


# -- prompts


def test_a_prompt_of_the_folders_own_may_be_empty(folder):
    """sentence-transformers writes "query" and "document" into every folder."""
    for name in ("document", "query"):
        ours = featurizer(folder, prompt=name).fit_transform(TEXTS)
        assert relative_error(ours, encode(folder, TEXTS, prompt_name=name)) < 1e-5


@pytest.mark.parametrize("include", [True, False])
def test_a_prompt_that_the_user_writes_is_that_of_encode(folder, include):
    """Left out of the pooling where the folder says so; other words than a name are a text."""
    edit(folder, "1_Pooling/config.json", include_prompt=include)
    ours = featurizer(folder, prompt="a mat ").fit(TEXTS)

    assert relative_error(ours.transform(TEXTS), encode(folder, TEXTS, prompt="a mat ")) < 1e-5
    assert ours.pooling_ == f"mean{'' if include else '[3:]'}+dense12+layernorm12+unit"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"prompts": {"q": "[CLS] the "}, "default_prompt_name": "q"}, r"special token '\[CLS\]'"),
        ({"prompts": {"q": "the "}, "default_prompt_name": "p"}, "default_prompt_name='p'"),
        ({"prompts": {"q": 3}}, "prompt 'q' in config_sentence_transformers.json is 3"),
    ],
)
def test_a_prompt_that_is_not_text_is_refused(folder, values, message):
    """A special token in it would be one for sentence-transformers, and is letters here."""
    edit(folder, MODEL, **values)
    with pytest.raises(LayerError, match=message):
        featurizer(folder).fit(TEXTS)


# -- what is refused can still be read, and what is read is pinned


@pytest.mark.parametrize("i", range(6))
def test_code_of_the_folders_own_is_refused_and_never_run(folder, i):
    """As sentence-transformers refuses it without trust_remote_code."""
    modules = json.loads((folder / "modules.json").read_text())
    modules[i]["type"] = "custom_st.Module"
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "custom_st.py").write_text("raise SystemExit")

    with pytest.raises(
        LayerError, match=r"modules\.json has type='custom_st\.Module'.*code in the folder"
    ):
        featurizer(folder).fit(TEXTS)
    alone = featurizer(folder, pooling="mean").fit_transform(TEXTS)
    states = text_zoo.reference(folder, TEXTS)
    assert relative_error(alone, np.vstack([s[-1].mean(1).numpy() for s in states])) < 1e-5


@pytest.mark.parametrize(
    ("place", "values"),
    [
        ("1_Pooling/config.json", {"pooling_mode": "max"}),
        ("1_Pooling/config.json", {"include_prompt": False}),
        (MODEL, {"truncate_dim": 12}),
        (MODEL, {"prompts": {"q": "the "}}),
    ],
)
def test_a_pooling_is_pinned_whatever_the_folder_says_later(folder, place, values):
    """Rows stay those of fit."""
    ours = featurizer(folder, prompt="the ").fit(TEXTS)
    before = ours.transform(TEXTS)
    edit(folder, place, **values)

    assert relative_error(ours.transform(TEXTS), before) < 1e-6


@pytest.mark.parametrize(
    ("place", "values"),
    [
        ("2_Dense/config.json", {"activation_function": "torch.nn.modules.linear.Identity"}),
        ("2_Dense/config.json", {"bias": False}),
        ("modules.json", {"type": "sentence_transformers.models.Dense", "path": "2_Dense"}),
        (TRANSFORMER, {"do_lower_case": True}),
        (TRANSFORMER, {"max_seq_length": 4}),
    ],
)
def test_a_folder_that_prepares_otherwise_after_fit_is_refused(folder, place, values):
    """What a pooling's name does not tell is pinned too."""
    ours = featurizer(folder).fit(TEXTS)
    edit(folder, place, **values)

    with pytest.raises((ProvenanceError, WeightsError), match=r"at fit|was pinned|not fit"):
        ours.transform(TEXTS)


@pytest.mark.parametrize("module", ["2_Dense", "3_LayerNorm"])
def test_weights_behind_the_pooling_belong_to_the_digest(folder, module):
    """Other weights of a dense layer or a layer norm are other weights."""
    from safetensors.torch import load_file, save_file

    ours = featurizer(folder).fit(TEXTS)
    path = folder / module / "model.safetensors"
    save_file({name: x * 1.5 for name, x in load_file(path).items()}, path)

    with pytest.raises(WeightsError, match="was pinned"):
        ours.transform(TEXTS)
    assert_equal(folder)
    path.unlink()
    with pytest.raises(WeightsError, match=f"no weights .* {re.escape(str(path))}"):
        featurizer(folder).fit(TEXTS)


@pytest.mark.parametrize("is_old", [False, True])
def test_weights_behind_the_pooling_are_carried_in_a_file(folder, is_old):
    """The whole chain opens where there is no folder, whichever format its weights had."""
    from safetensors.torch import load_file

    path = folder / "2_Dense" / "model.safetensors"
    if is_old:
        torch.save(load_file(path), path.with_name("pytorch_model.bin"))
        path.unlink()
    expected = encode(folder, TEXTS)
    data = pickle.dumps(embed_weights(featurizer(folder).fit(TEXTS)))
    shutil.rmtree(folder)
    eager.unload()

    assert relative_error(pickle.loads(data).transform(TEXTS), expected) < 1e-5


def test_a_trained_chain_reads_the_layer_that_it_was_trained_on(folder):
    """Other layers are read with a pooling of the user's choice, and kept beside it."""
    with pytest.raises(LayerError, match=r"'mean\+dense12.*trained on the last hidden state"):
        featurizer(folder, layer=1).fit(TEXTS)
    ours = featurizer(folder, cache=FeatureCache(folder / "rows.sqlite")).fit_transform(TEXTS)
    assert relative_error(ours, encode(folder, TEXTS)) < 1e-5
    assert featurizer(folder, layer=[1, 2], pooling="mean").fit(TEXTS).n_features_out_ == 32


def test_modules_that_do_not_fit_each_other_are_refused(folder):
    """A dense layer for another number of columns than it receives."""
    edit(folder, "1_Pooling/config.json", pooling_mode=["mean", "max"])
    with pytest.raises(LayerError, match="2_Dense expects 16 columns, but receives 32"):
        featurizer(folder).fit(TEXTS)


def test_random_weights_have_a_random_chain_that_is_always_the_same(folder):
    """weights=None builds all of it by the seed."""
    with pytest.warns(RandomWeightsWarning):
        one = featurizer(folder, weights=None).fit_transform(TEXTS)
    eager.unload()
    with pytest.warns(RandomWeightsWarning):
        assert relative_error(featurizer(folder, weights=None).fit_transform(TEXTS), one) < 1e-5
    assert relative_error(one, encode(folder, TEXTS)) > 0.1


def test_an_adapter_is_refused_not_left_out(folder):
    """Its weights are in no file of the network."""
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(WeightsError, match=r"adapter_config\.json.*merge_and_unload"):
        featurizer(folder, pooling="mean").fit(TEXTS)
