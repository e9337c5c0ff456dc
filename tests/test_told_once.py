"""An error is told once: no inner traceback that says the same, or says it worse."""

from __future__ import annotations

import importlib
import traceback

import pytest
import torch
from PIL import Image

from sklearn_pretrained import PretrainedImageFeaturizer, PretrainedTextFeaturizer
from sklearn_pretrained.exceptions import BadItemError, WeightsError
from sklearn_pretrained.reporting import bars


def tracebacks(error: BaseException) -> int:
    """Count the tracebacks that a terminal or a notebook would show."""
    return "".join(traceback.format_exception(error)).count("Traceback (most recent call last)")


def test_a_file_that_does_not_exist_is_one_traceback(tmp_path):
    """It names the row and the path."""
    with pytest.raises(BadItemError, match=r"Item 0 of X .*nothing.png'\) does not exist") as told:
        PretrainedImageFeaturizer().fit_transform([tmp_path / "nothing.png"])

    assert tracebacks(told.value) == 1


def test_a_damaged_file_shows_what_pillow_said(tmp_path):
    """Below that one error, and nothing between."""
    Image.effect_noise((40, 40), 50).save(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:200])

    with pytest.raises(BadItemError, match="could not be read as an image") as told:
        PretrainedImageFeaturizer().fit_transform([tmp_path / "a.jpg"])

    assert tracebacks(told.value) == 2


def test_weights_that_cannot_be_downloaded_are_one_traceback(tmp_path, monkeypatch):
    """The connection's own errors are in its sentence."""

    def offline(*_, **__):
        try:
            raise OSError("no route to host")
        except OSError as error:
            raise RuntimeError("no connection") from error

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)

    with pytest.raises(WeightsError, match="the download failed: no connection") as told:
        PretrainedImageFeaturizer("resnet18").fit(["a.png"])

    assert tracebacks(told.value) == 1


def test_an_encoder_that_is_nowhere_is_one_traceback(monkeypatch):
    """The hub's tower of errors is not shown."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    with pytest.raises(WeightsError, match="could not be downloaded") as told:
        PretrainedTextFeaturizer("nobody/nothing-at-all").fit(["a text"])

    assert tracebacks(told.value) == 1


def test_a_torchvision_for_another_torch_is_told_with_its_remedy(monkeypatch):
    """Not as a missing operator, deep in torch."""
    real = importlib.import_module

    def broken(name, *rest):
        if name == "torchvision":
            raise RuntimeError("operator torchvision::nms does not exist")
        return real(name, *rest)

    monkeypatch.setattr(importlib, "import_module", broken)

    with pytest.raises(ImportError, match=r"do not work together .*--index-url") as told:
        PretrainedImageFeaturizer().fit(["a.png"])
    assert tracebacks(told.value) == 1


@pytest.mark.parametrize(("there", "module"), [(True, "tqdm.asyncio"), (False, "tqdm.std")])
def test_a_notebook_without_widgets_gets_bars_of_text(there, module, monkeypatch):
    """Without tqdm's warning, which asks for another package."""
    monkeypatch.setattr(
        "sklearn_pretrained.reporting._progress.find_spec", lambda _: object() if there else None
    )

    assert bars().__module__ in {module, "tqdm.auto"} if there else bars().__module__ == module


def test_what_determined_the_rows_is_text_at_the_end_of_a_cell():
    """As it prints."""
    provenance = PretrainedImageFeaturizer().fit(["a.png"]).provenance()

    assert repr(provenance) == str(provenance)
    assert "- model: torchvision/mobilenet_v2" in repr(provenance)
