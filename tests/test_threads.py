"""Threads with texts of their own → what each would get alone, and what all are told."""

from __future__ import annotations

import io
import itertools
import logging
import warnings
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pytest
from sklearn.pipeline import FeatureUnion, make_pipeline

from sklearn_pretrained import BertCLSFeaturizer, PretrainedTextFeaturizer
from sklearn_pretrained.backbones import find_text
from sklearn_pretrained.backbones.transformers import _loading
from sklearn_pretrained.exceptions import BadItemWarning, TruncationWarning
from tests import text_zoo
from tests.conftest import relative_error

TEXTS = [f"the cat {i} [SEP] " + "sat on a mat " * (i % 9) for i in range(60)]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Save two encoders with tokenizers that differ in nothing but their folder."""
    place = tmp_path_factory.mktemp("threads")
    return [text_zoo.make_folder(place / name, name) for name in ("BERT", "RoBERTa")]


def test_threads_get_the_rows_of_their_own_length_prompt_layer_and_network(folders):
    """Sixteen threads at once, and others that only fit: each as if it were alone."""
    many = [
        PretrainedTextFeaturizer(
            str(folder), max_length=length, prompt=prompt, layer=layer,
            cache=None, device="cpu", truncation="cut",
        )
        for folder, length, prompt, layer in itertools.product(
            folders, (5, 30), ("", "rain fell "), (0, 2)
        )
    ]  # fmt: skip
    expected = [one.fit(TEXTS).transform(TEXTS) for one in many]
    finished = Event()

    def fit() -> None:
        lengths = itertools.cycle((4, 9, 40))
        while not finished.is_set():
            BertCLSFeaturizer(str(folders[0]), max_length=next(lengths), cache=None).fit(TEXTS[:2])

    with ThreadPoolExecutor(18) as pool:
        fitting = [pool.submit(fit) for _ in range(2)]
        work = [pool.submit(many[i % 16].transform, TEXTS) for i in range(64)]
        found = [one.result() for one in work]
        finished.set()
        for one in fitting:
            one.result()

    assert len(many) == 16
    for i, rows in enumerate(found):
        assert relative_error(rows, expected[i % 16]) < 1e-5


def test_a_tokenizer_is_set_once_for_its_length(folders):
    """Two lengths in two threads, each with all of its special tokens and no more."""
    backbones = [find_text(str(folders[0]), max_length=length) for length in (6, 20)]
    expected = [backbone.prepare(TEXTS) for backbone in backbones]

    def prepare(i: int) -> bool:
        return bool(np.all([backbones[i % 2].prepare(TEXTS) == expected[i % 2] for _ in range(5)]))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(prepare, range(40)))
    assert max(len(sample["input_ids"]) for sample in expected[0]) == 6


def test_tokenizers_are_set_as_transformers_sets_them(folders):
    """Ids, types and cuts of texts and pairs are those of the library's own call."""
    import transformers

    fast = transformers.AutoTokenizer.from_pretrained(folders[0])
    texts = [*TEXTS, "", "[CLS]", "  the  cat "]
    for length in (4, 11, 48):
        ours = find_text(str(folders[0]), max_length=length)
        options = {"truncation": True, "max_length": length, "split_special_tokens": True}
        alone = fast(texts, **options)["input_ids"]
        pairs = fast(texts, TEXTS[: len(texts)] + texts[-3:], **options)["input_ids"]

        assert [sample["input_ids"] for sample in ours.prepare(texts)] == alone
        found = ours.prepare([*zip(texts, TEXTS + texts[-3:], strict=True)])
        assert [sample["input_ids"] for sample in found] == pairs


def test_loading_a_network_silences_nobody_else(folders):
    """What transformers reports in other threads is heard while one loads; its settings stay."""
    from transformers.utils import logging as reports

    heard = io.StringIO()
    handler = logging.StreamHandler(heard)
    logging.getLogger("transformers").addHandler(handler)
    before = reports.get_verbosity(), reports.is_progress_bar_enabled()
    _loading._ask_who_reports.__wrapped__()  # of this handler too
    logger = reports.get_logger("transformers.models.bert")
    try:
        with ThreadPoolExecutor(1) as pool, _loading.quietly():
            logger.warning("expected here")
            pool.submit(logger.warning, "of another thread").result()
            during = reports.get_verbosity(), reports.is_progress_bar_enabled()
        logger.warning("afterwards")
    finally:
        logging.getLogger("transformers").removeHandler(handler)

    assert heard.getvalue().splitlines() == ["of another thread", "afterwards"]
    assert before == during == (reports.get_verbosity(), reports.is_progress_bar_enabled())


@pytest.mark.parametrize(
    "call",
    [
        lambda ours, X: ours.transform(X),
        lambda ours, X: ours.fit_transform(X),
        lambda ours, X: ours.set_output(transform="pandas").transform(X),
        lambda ours, X: make_pipeline(ours).transform(X),
        lambda ours, X: make_pipeline(ours).fit_transform(X),
        lambda ours, X: FeatureUnion([("one", ours)]).fit_transform(X),
    ],
)
def test_warnings_point_at_the_users_line(folders, call):
    """However many of scikit-learn's and our own frames lie between."""
    ours = PretrainedTextFeaturizer(
        str(folders[0]), max_length=5, on_error="nan", cache=None, device="cpu"
    ).fit(TEXTS)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        call(ours, [*TEXTS, None])

    assert {one.category for one in seen} == {BadItemWarning, TruncationWarning}
    assert {one.filename for one in seen} == {__file__}
