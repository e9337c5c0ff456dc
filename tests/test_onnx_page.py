"""The page of exported networks: it says what the results say, and leaves nothing out unsaid."""

from __future__ import annotations

from tests import onnx_page, zoo

FOUND = [
    {"source": "texts", "network": "BERT", "family": "BERT", "largest": 2e-7, "date": "2026-01-02"},
    {"source": "texts", "network": "Mamba", "family": "Mamba", "error": "TypeError: because"},
    {"source": "timm", "network": "timm/a", "family": "a", "largest": 3e-3},
    {"source": "torchvision", "network": "vgg11", "family": "vgg", "memory": 4.0},
    {"source": "torchvision", "network": "vgg13", "family": "vgg", "largest": 1e-7},
]  # fmt: skip


def test_the_page_is_what_the_results_say():
    """`python -m tests.onnx_zoo --page` writes it."""
    text = onnx_page.PAGE.read_text()

    assert onnx_page.page(text, list(onnx_page.results().values())) == text


def test_every_classifier_of_torchvision_has_a_result():
    """Equal, or with a reason."""
    assert set(zoo.names()) <= onnx_page.known("torchvision")


def test_a_network_that_differs_is_listed_with_its_reason():
    """A known one, what the error said, the memory that it was given, or how far it differs."""
    marks = f"{onnx_page.START}\n{onnx_page.END}\n"
    lines = onnx_page.page(marks, FOUND).splitlines()

    assert f"| `Mamba` | {onnx_page.EXCEPTIONS['Mamba']} |" in lines
    assert "| `timm/a` | its rows differ by 3.0e-03 |" in lines
    given = "exporting it takes more than the 4 GB that a network was given"
    assert f"| `vgg11` | {given} |" in lines
    assert "| vgg | 1 of 2 | `vgg11`, … | 1e-07 |" in lines
