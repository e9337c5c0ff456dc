"""Pooling: plain arithmetic over positions, which padding and prefixes never reach."""

from __future__ import annotations

import pytest
import torch

from sklearn_pretrained.taps._pooling import (
    MODES,
    WHOLE,
    Layout,
    automatic,
    pool,
    why_not,
    width,
)

MAPS = torch.randn(2, 5, 3, 4, generator=torch.Generator().manual_seed(0))
TOKENS = torch.randn(2, 7, 5, generator=torch.Generator().manual_seed(1))
MASK = torch.tensor([[1, 1, 1, 1, 0, 0, 0], [0, 0, 1, 1, 1, 1, 1]])
PLACES = torch.arange(1.0, 8.0).unsqueeze(-1)

TABLE = [
    ("avg", MAPS, Layout(1), MAPS.mean((2, 3))),
    ("max", MAPS, Layout(1), MAPS.amax((2, 3))),
    ("gem", MAPS, Layout(1), MAPS.clamp(min=1e-6).pow(3).mean((2, 3)).pow(1 / 3)),
    ("flatten", MAPS, Layout(1), MAPS.flatten(1)),
    ("none", MAPS, Layout(1), MAPS.flatten(1)),
    ("avg", MAPS.permute(0, 2, 3, 1), Layout(3), MAPS.mean((2, 3))),
    ("max", MAPS.permute(0, 2, 3, 1), Layout(3), MAPS.amax((2, 3))),
    ("avg", TOKENS, Layout(2, 1, first=True), TOKENS[:, 1:].mean(1)),
    ("max", TOKENS, Layout(2, 1, first=True), TOKENS[:, 1:].amax(1)),
    ("cls", TOKENS, Layout(2, 1, first=True), TOKENS[:, 0]),
    ("last", TOKENS, Layout(2), TOKENS[:, -1]),
    ("first", TOKENS, Layout(2), TOKENS[:, 0]),
    ("mean_sqrt_len", TOKENS, Layout(2), TOKENS.sum(1) / 7**0.5),
    ("weightedmean", TOKENS, Layout(2), (TOKENS * PLACES).sum(1) / PLACES.sum()),
    ("weightedmean[3:]", TOKENS, Layout(2), (TOKENS * PLACES)[:, 3:].sum(1) / PLACES[3:].sum()),
    ("max,mean", TOKENS, Layout(2), torch.cat([TOKENS.amax(1), TOKENS.mean(1)], 1)),
    ("mean[3:]", TOKENS, Layout(2), TOKENS[:, 3:].mean(1)),
    ("cls[3:]", TOKENS, Layout(2, first=True), TOKENS[:, 3]),
    ("mean[7:]", TOKENS, Layout(2), torch.zeros(2, 5)),
    ("last[7:]", TOKENS, Layout(2), torch.zeros(2, 5)),
    ("mean+unit", TOKENS, Layout(2), torch.nn.functional.normalize(TOKENS.mean(1))),
    ("mean+cut2", TOKENS, Layout(2), TOKENS.mean(1)[:, :2]),
    ("mean+cut9", TOKENS, Layout(2), TOKENS.mean(1)),
    ("avg", MAPS[:, :, 0, 0], Layout(1), MAPS[:, :, 0, 0]),
    ("avg", MAPS[:, :, 0, 0], None, MAPS[:, :, 0, 0]),
]


@pytest.mark.parametrize(("pooling", "x", "layout", "expected"), TABLE)
def test_a_pooling_is_plain_arithmetic_over_positions(pooling, x, layout, expected):
    """Each pooling equals the one line of arithmetic that its name stands for."""
    torch.testing.assert_close(pool(x, pooling, layout), expected)


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ("mean", torch.stack([TOKENS[0, :4].mean(0), TOKENS[1, 2:].mean(0)])),
        ("max", torch.stack([TOKENS[0, :4].amax(0), TOKENS[1, 2:].amax(0)])),
        ("cls", torch.stack([TOKENS[0, 0], TOKENS[1, 2]])),
        ("last", torch.stack([TOKENS[0, 3], TOKENS[1, 6]])),
        ("mean_sqrt_len", torch.stack([TOKENS[0, :4].sum(0) / 2, TOKENS[1, 2:].sum(0) / 5**0.5])),
        (
            "weightedmean",
            torch.stack(
                [
                    (TOKENS[i, s] * PLACES[:n]).sum(0) / PLACES[:n].sum()
                    for i, s, n in ((0, slice(4), 4), (1, slice(2, None), 5))
                ]
            ),
        ),
        ("mean[3:]", torch.stack([TOKENS[0, 3], TOKENS[1, 5:].mean(0)])),
        ("last[4:]", torch.stack([torch.zeros(5), TOKENS[1, 6]])),
    ],
)
def test_padding_never_reaches_a_row(pooling, expected):
    """With a mask, padding on the right or the left changes nothing, whatever it holds."""
    layout = Layout(2, first=True)
    spoiled = TOKENS.masked_fill(~MASK.unsqueeze(-1).bool(), 1e6)

    torch.testing.assert_close(pool(TOKENS, pooling, layout, MASK), expected)
    torch.testing.assert_close(pool(spoiled, pooling, layout, MASK), expected)


def test_steps_behind_a_pooling_follow_each_other():
    """Those with weights are taken from the modules that are given, in their order."""
    dense, norm = torch.nn.Linear(10, 3), torch.nn.LayerNorm(3)
    layout = Layout(2)
    rows = norm(dense(torch.cat([TOKENS.amax(1), TOKENS.mean(1)], 1)))

    made = pool(TOKENS, "max,mean+dense3+layernorm3+unit+cut2", layout, trained=[dense, norm])
    torch.testing.assert_close(made, torch.nn.functional.normalize(rows)[:, :2])
    assert width("max,mean+dense3+layernorm3+unit+cut2", (7, 5), layout) == 2
    assert width("max,mean+cut7", (7, 5), layout) == 7


@pytest.mark.parametrize("name", ["", "mean+", "mean[a:]", "Mean", "mean[1:]x", "+unit"])
def test_a_name_of_another_form_is_refused(name):
    """It is said which."""
    with pytest.raises(ValueError, match="is not the name of a pooling"):
        pool(TOKENS, name, Layout(2))


@pytest.mark.parametrize("pooling", [*MODES, *WHOLE])
@pytest.mark.parametrize("masked", [False, True])
def test_a_pooled_row_shares_no_memory(pooling, masked):
    """An in-place operation after the layer cannot change what was read."""
    x = TOKENS.clone()
    row = pool(x, pooling, Layout(2, first=True), torch.ones(x.shape[:2]) if masked else None)
    expected = row.clone()
    x.fill_(17)

    assert torch.equal(row, expected)


def test_a_vector_shares_no_memory():
    """There is nothing to pool, and it may be overwritten as well."""
    x = TOKENS[:, 0].clone()
    row = pool(x, "avg", Layout(1))
    x.zero_()

    assert row.abs().sum() > 0


@pytest.mark.parametrize(
    ("pooling", "shape", "layout"),
    [
        ("cls", (5, 3, 4), Layout(1)),
        ("cls", (5,), Layout(1)),
        ("cls", (7, 5), Layout(2)),
        ("last", (5, 3, 4), Layout(1)),
        ("avg", (5, 3, 4), None),
    ],
)
def test_a_pooling_that_makes_no_sense_is_refused_with_an_alternative(pooling, shape, layout):
    """The reason names what to use instead."""
    assert "use pooling=" in why_not(pooling, shape, layout)


def test_auto_takes_the_class_token_where_there_is_one():
    """Vectors stay, tokens with a class token give it, all else is averaged."""
    assert automatic((5,), Layout(1)) == "flatten"
    assert automatic((7, 5), Layout(2, 1, first=True)) == "cls"
    assert automatic((49, 5), Layout(2)) == "avg"
    assert automatic((5, 3, 4), Layout(1)) == "avg"


@pytest.mark.parametrize(("pooling", "x", "layout", "expected"), TABLE)
def test_the_width_is_known_without_computing(pooling, x, layout, expected):
    """What the plan says a pooling gives is what it gives."""
    assert width(pooling, tuple(x.shape[1:]), layout) == expected.shape[1]


@pytest.mark.parametrize("channels", [1, 2, 24, 31, 32, 40])
@pytest.mark.parametrize("special", [0.0, float("nan"), float("inf"), float("-inf")])
def test_a_maximum_is_that_of_every_arrangement_in_memory(channels, special):
    """To the bit, and NaN is a maximum."""
    maps = torch.randn(3, channels, 5, 6, generator=torch.Generator().manual_seed(0))
    maps[1, 0, 2, 3] = special
    maps[2, :, :, :] = special
    last = maps.contiguous(memory_format=torch.channels_last)
    expected = pool(maps, "max", Layout(1))

    torch.testing.assert_close(
        pool(last, "max", Layout(1)), expected, rtol=0, atol=0, equal_nan=True
    )
