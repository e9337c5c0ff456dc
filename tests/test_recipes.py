"""The pairs of the recipes' page: what tutorials write, and the same features here."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from sklearn_pretrained._text import MINILM
from sklearn_pretrained.backbones import find_text
from sklearn_pretrained.running.eager import unload
from tests.conftest import relative_error

PAGE = (Path(__file__).parent.parent / "docs" / "recipes.md").read_text()
SECTIONS = {
    section.splitlines()[0]: re.findall(r"```py\n(.*?)```", section, flags=re.DOTALL)
    for section in PAGE.split("\n## ")[1:]
}
PAIRS = {title: blocks for title, blocks in SECTIONS.items() if blocks}


@pytest.fixture(scope="module", autouse=True)
def _let_go():
    """VGG16 is large."""
    yield
    unload()


def with_random_weights(block):
    """Rewrite a block for machines without torchvision's weights; a seed makes them equal."""
    block = block.replace("(weights=weights)", "(weights=None)")
    return re.sub(r"PretrainedImageFeaturizer\(\s*", r"\g<0>weights=None, model=", block)


def run(block, **names):
    torch.manual_seed(0)
    exec(block, names)
    return np.asarray(names["features"])


def test_every_recipe_is_a_pair():
    """A block without its counterpart would never be compared."""
    assert len(PAIRS) == 9
    assert {len(blocks) for blocks in PAIRS.values()} == {2}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn_pretrained.exceptions.RandomWeightsWarning")
@pytest.mark.parametrize("title", [t for t in PAIRS if "BERT" not in t and "BLIP" not in t])
def test_images_have_the_features_of_the_tutorial(title, pictures):
    """On random weights, the same for both."""
    usual, here = map(with_random_weights, PAIRS[title])
    images = [Image.fromarray(picture) for picture in pictures]

    expected = run(usual, images=images)
    assert relative_error(run(here, images=images), expected) < 1e-5
    assert relative_error(expected[:1], expected[1:]) > 1e-4


def test_blip_has_the_features_of_the_tutorial(pictures, tmp_path):
    """On a small network with random weights, from a folder that holds both towers."""
    torch.manual_seed(0)
    small = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2}
    config = transformers.BlipConfig(
        text_config={**small, "vocab_size": 40, "encoder_hidden_size": 32},
        vision_config={**small, "intermediate_size": 64, "image_size": 64},
    )
    network = transformers.BlipForConditionalGeneration(config)
    for parameter in network.parameters():  # as far apart as trained weights
        torch.nn.init.normal_(parameter, std=0.1)
    network.save_pretrained(tmp_path)
    size = {"height": 64, "width": 64}
    transformers.BlipImageProcessor(size=size).save_pretrained(tmp_path)
    usual, here = PAIRS["BLIP's image tower"]
    images = [Image.fromarray(picture) for picture in pictures]

    expected = run(usual, images=images, model=str(tmp_path))
    assert relative_error(run(here, images=images, model=str(tmp_path)), expected) < 1e-5
    assert relative_error(expected[:1], expected[1:]) > 1e-4


@pytest.mark.parametrize("title", [t for t in PAIRS if "BERT" in t])
def test_texts_have_the_features_of_the_tutorial(title):
    """On real weights."""
    folder = find_text(MINILM).folder
    texts = ["I loved it", "What a bore, from start to end", "A waste of an evening"]
    usual, here = PAIRS[title]

    expected = run(usual, texts=texts, model=str(folder))
    assert relative_error(run(here, texts=texts, model=MINILM), expected) < 1e-5
