"""augment="flip": the features of an image and of its mirror image, averaged."""

from __future__ import annotations

import pickle
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklearn_pretrained import PretrainedImageFeaturizer, backbones, embed_weights
from sklearn_pretrained.running import eager
from tests.conftest import make_convnet, relative_error, to_tensor


def featurizer(**parameters):
    return PretrainedImageFeaturizer(**{"device": "cpu", "cache": None, **parameters})


@pytest.mark.parametrize("layer", ["features.6", ["features.3", "penultimate"]])
def test_rows_are_the_mean_of_those_of_image_and_mirror_image(patches, layer):
    """As if both had been passed, and their rows been averaged by hand."""
    some = patches[:3]
    seen, mirrored = (
        featurizer(layer=layer, image_size=96).fit_transform(images)
        for images in (some, [np.ascontiguousarray(image[:, ::-1]) for image in some])
    )
    ours = featurizer(layer=layer, image_size=96, augment="flip").fit_transform(some)

    assert relative_error(ours, (seen + mirrored) / 2) < 1e-5
    assert relative_error(seen, ours) > 1e-3


def test_what_the_network_would_read_is_mirrored(patches):
    """For a network of one's own too: behind the preprocessing, before the pooling."""
    network = make_convnet().eval()
    ours = featurizer(
        model=network, preprocessing=to_tensor, layer="stem", pooling="max", augment="flip"
    ).fit_transform(patches)
    batch = torch.stack([to_tensor(Image.fromarray(patch)) for patch in patches])
    with torch.no_grad():
        seen, mirrored = (network.stem(view).amax((2, 3)) for view in (batch, batch.flip(-1)))

    assert relative_error(ours, ((seen + mirrored) / 2).numpy()) < 1e-6


def test_mirror_images_give_the_same_row(patches):
    """The mean does not know which of the two it was given."""
    own = {"model": make_convnet, "preprocessing": to_tensor, "augment": "flip"}
    mirrored = [np.ascontiguousarray(patch[:, ::-1]) for patch in patches[:4]]

    rows = featurizer(**own).fit_transform(patches[:4])
    assert relative_error(featurizer(**own).fit_transform(mirrored), rows) < 1e-5


def test_rows_with_and_without_flips_are_known_apart(patches):
    """One cache holds both, and a search over `augment` computes each once."""
    own = {"model": make_convnet, "preprocessing": to_tensor, "cache": "memory"}
    pipe = make_pipeline(featurizer(**own), LogisticRegression(max_iter=500))
    name = "pretrainedimagefeaturizer__augment"
    search = GridSearchCV(pipe, {name: [None, "flip"]}, cv=2).fit(patches, [0] * 12 + [1] * 12)
    plain, both = (clone(pipe[0]).set_params(augment=a).fit(patches) for a in (None, "flip"))

    assert set(search.cv_results_[f"param_{name}"]) == {None, "flip"}
    assert relative_error(plain.transform(patches), both.transform(patches)) > 1e-3
    assert plain.counts_.computed == both.counts_.computed == 0


def test_a_fitted_featurizer_keeps_its_augment(patches):
    """In a pickle, and against a change behind the head's back."""
    own = {"model": make_convnet, "preprocessing": to_tensor, "augment": "flip"}
    ours = featurizer(**own).fit(patches)
    rows = ours.transform(patches[:2])

    np.testing.assert_array_equal(rows, pickle.loads(pickle.dumps(ours)).transform(patches[:2]))
    with pytest.raises(ValueError, match="augment=None was set after fit"):
        ours.set_params(augment=None).transform(patches[:2])


def test_maps_are_not_averaged(patches):
    """A position of the mirror image lies elsewhere."""
    with pytest.raises(ValueError, match="positions in the mirror image"):
        featurizer(augment="flip", pooling="none").fit(patches)


def test_rows_of_numbers_have_no_mirror_image(patches):
    """A preprocessing that gives vectors leaves nothing to mirror."""
    ours = featurizer(
        model=torch.nn.Linear(3, 2),
        preprocessing=lambda image: to_tensor(image).mean((1, 2)),
        augment="flip",
    ).fit(patches)

    with pytest.raises(ValueError, match=r"mirrors batches of images \(N, C, H, W\)"):
        ours.transform(patches)


@pytest.mark.parametrize("wrong", [{"image_size": 64}, {"resize": "exact"}])
def test_what_only_named_networks_know_is_refused(patches, wrong):
    """The preprocessing of one's own decides the size."""
    with pytest.raises(ValueError, match="preprocessing determines how images are resized"):
        featurizer(model=make_convnet, preprocessing=to_tensor, **wrong).fit(patches)


def test_flips_go_with_weights_inside_the_file_and_with_a_canary(patches, tmp_path):
    """Both are those of the network that sees both sides."""
    weights = tmp_path / "weights.safetensors"
    shutil.copy(backbones.find("mobilenet_v2").weights.path, weights)
    ours = featurizer(weights=str(weights), layer="features.2", augment="flip")
    expected = ours.fit_transform(patches[:2])
    carried = pickle.dumps(embed_weights(ours))
    weights.unlink()
    eager.unload()
    opened = pickle.loads(carried)

    assert relative_error(opened.transform(patches[:2]), expected) < 1e-6
    assert ours.provenance().to_dict()["canary"] == "recorded"
