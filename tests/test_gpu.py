"""The same on a GPU; run where there is one."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from sklearn_pretrained import PretrainedImageFeaturizer, PretrainedTextFeaturizer
from tests.conftest import relative_error

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device"),
]


@pytest.mark.parametrize("kind", [PretrainedImageFeaturizer, PretrainedTextFeaturizer])
def test_a_gpu_gives_the_rows_of_a_cpu_and_its_pickle_opens_there(kind, patches):
    """In float32 without TF32, to 1e-4; and rows on the GPU do not depend on their neighbours."""
    X = patches if kind is PretrainedImageFeaturizer else ["a cat", "two dogs and a bird", ""]
    ours = kind(device="cuda", cache=None).fit(X)
    rows = ours.transform(X)
    alone = np.vstack([ours.transform(X[i : i + 1]) for i in range(len(X))])
    elsewhere = pickle.loads(pickle.dumps(ours)).set_params(device="cpu")

    assert relative_error(rows, elsewhere.transform(X)) < 1e-4
    assert relative_error(alone, rows) < 1e-5


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_less_precision_differs_by_a_few_percent(dtype, patches):
    """The typical row does; of a picture without much in it, a row can lie far off."""
    exact = PretrainedImageFeaturizer(device="cuda", cache=None).fit_transform(patches)
    rough = PretrainedImageFeaturizer(device="cuda", cache=None, dtype=dtype).fit_transform(patches)
    apart = np.linalg.norm(rough - exact, axis=1) / np.linalg.norm(exact, axis=1)

    assert 1e-5 < np.median(apart) < 0.1
    assert apart.max() < 1


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="fewer than two CUDA devices")
def test_several_gpus_give_the_rows_of_one(patches):
    """Batch by batch in turn."""
    one = PretrainedImageFeaturizer(device="cuda:0", cache=None, batch_size=4)
    two = PretrainedImageFeaturizer(device=["cuda:0", "cuda:1"], cache=None, batch_size=4)

    assert relative_error(two.fit_transform(patches), one.fit_transform(patches)) < 1e-5
