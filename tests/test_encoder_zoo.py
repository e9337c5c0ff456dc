"""A handful of the zoo of encoders: kinds of every sort, and those that were once read wrongly."""

from __future__ import annotations

import pytest
from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

from tests import encoder_zoo
from tests.encoder_exceptions import FAMILIES

HANDFUL = [
    *("bert", "gpt2", "mixtral", "m2m_100", "led", "rwkv", "xlm", "mamba", "lfm3", "dory"),
    *("deepseek_v3", "gpt_neo", "bamba", "qwen2_vl_text", "neomme", "lilt"),
]


@pytest.mark.parametrize("family", HANDFUL)
def test_every_hidden_state_is_that_of_transformers(family):
    """Encoders, decoders, mixtures of experts, encoders with a decoder, state spaces, loops."""
    verdicts = encoder_zoo.compare(family)

    assert set(verdicts) == {"equal"}
    assert len(verdicts) >= 4


@pytest.mark.parametrize("family", ["xlnet", "squeezebert", "reformer", "pegasus_x"])
def test_a_hidden_state_that_no_submodule_gives_is_refused_and_the_output_is_read(family):
    """By name, and never with other numbers."""
    verdicts = encoder_zoo.compare(family)

    assert set(verdicts) == {"equal", "refused"}
    assert verdicts[-1] == "equal"


def test_what_cannot_be_planned_is_refused_whole():
    """X-MOD chooses weights by the values of its input, which a plan does not have."""
    assert set(encoder_zoo.compare("xmod")) == {"refused"}


def test_families_are_those_of_transformers_own_mapping():
    """What is not compared is named, with its reason."""
    assert {*HANDFUL, "xlnet"} <= set(MODEL_MAPPING_NAMES)
    with pytest.raises(encoder_zoo.NotComparedError, match="reads pixel_values"):
        encoder_zoo.build("vit")


NOT_COMPARED = encoder_zoo.NotComparedError("reads pixel_values")
CASES = {
    "one that reads no texts": ("vit", NOT_COMPARED, "not compared"),
    "one without a result and without a reason": ("bert", NOT_COMPARED, "UNEXPLAINED"),
    "one with a reason that is compared after all": ("vit", ["equal"], "COMPARED"),
    "one that raises what it should not": ("vit", ValueError("shape"), "RAISED"),
    "one that differs in a layer": ("bert", ["equal", "DIFFERS 1e-02"], "DIFFERS 1e-02"),
    "one that is read": ("bert", ["equal", "refused"], "equal"),
    "one that is refused": ("bert", ["refused"], "refused"),
}


@pytest.mark.parametrize(("family", "found", "expected"), CASES.values(), ids=CASES)
def test_a_family_is_compared_or_has_its_reason_and_never_both(family, found, expected):
    """All but the first and the last two make the command fail."""
    assert encoder_zoo.judged(family, found)[0] == expected


def test_reasons_are_words():
    """Each is a sentence about what the family reads or needs, and no family has two."""
    stated = [one for families in FAMILIES.values() for one in families.split()]

    assert len(stated) == len(set(stated)) == len(encoder_zoo.EXCEPTIONS)
    assert all(len(why.split()) > 3 for why in FAMILIES)
    assert not set(HANDFUL) & set(stated)
