"""A fitted featurizer and examples → one module, from prepared samples to rows, and its inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from ..exceptions import BadItemError
from ..exported._resize import can_prepare
from ..road import Road
from ..running.eager._rows import rows_of
from ..running.eager.packed import padding_shows
from ._attention import AttentionOverFourAxes


class RowsOfNetwork(nn.Module):
    """A network up to what is read of it, and the pooling.

    Parameters
    ----------
    road : Road
    pixels : Pixels or None
        Where samples are uint8 images: how they are prepared for the network.
    tuned : dict of str to ndarray, optional
        Parameters that were trained further.
    """

    def __init__(
        self, road: Road, pixels: Pixels | None, tuned: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__()
        self.network = road.backbone.build().float().eval().requires_grad_(requires_grad=False)
        parameters = dict(self.network.named_parameters())
        for name, numbers in (tuned or {}).items():
            parameters[name].data = torch.from_numpy(numbers.copy())
        self.trained = nn.ModuleList(road.backbone.build_trained())
        self.pixels = pixels
        self._road = road
        self.eval()

    def forward(self, **inputs: Tensor) -> Tensor:
        """Run a batch; several views of it are averaged."""
        backbone = self._road.backbone
        batch: Any = inputs
        if "input_ids" not in inputs:
            (batch,) = inputs.values()
        if self.pixels is not None:
            batch = self.pixels(batch)
        views = [self._view(view) for view in backbone.views(batch)]
        return views[0] if len(views) == 1 else torch.stack(views).mean(0)

    def _view(self, batch: Any) -> Tensor:
        backbone, outputs = self._road.backbone, list(dict.fromkeys(self._road.outputs))
        with AttentionOverFourAxes():
            found = rows_of(backbone, self.network, batch, outputs, [*self.trained], stops=False)
        return torch.cat([found[outputs.index(output)] for output in self._road.outputs], dim=1)


class Pixels(nn.Module):
    """Uint8 pixels → what the network reads of them: one line for each channel.

    It is read off the preprocessing itself, from a black and a white image, and checked on noise.

    Parameters
    ----------
    backbone : Backbone
    sample : Tensor of shape (C, H, W)
    """

    shift: Tensor
    factor: Tensor

    def __init__(self, backbone: Any, sample: Tensor) -> None:
        super().__init__()
        noise = torch.randint(256, sample.shape, generator=torch.Generator().manual_seed(0))
        pictures = [torch.zeros_like(sample), torch.full_like(sample, 255), noise.to(sample)]
        batch = backbone.collate(pictures, torch.device("cpu"), torch.float32)
        self._name = None
        if isinstance(batch, Mapping) and set(batch) == {"pixel_values"}:
            self._name = "pixel_values"
            batch = batch["pixel_values"]
        if not isinstance(batch, Tensor) or batch.shape[1:] != sample.shape:
            raise _unknown(backbone)
        black, white = batch[:2, :, :1, :1]
        self.register_buffer("shift", black[None].clone())
        self.register_buffer("factor", (white - black)[None] / 255)
        ours = self.shift + self.factor * torch.stack(pictures).float()
        if not torch.allclose(ours, batch, rtol=1e-5, atol=1e-5):
            raise _unknown(backbone)

    def forward(self, pixels: Tensor) -> Any:
        """Normalise."""
        normalised = self.shift + self.factor * pixels.float()
        return normalised if self._name is None else {self._name: normalised}


@dataclass
class Network:
    """What is exported, and how it is fed.

    Parameters
    ----------
    name : str
        What the network is called.
    modules : list of RowsOfNetwork
        The one that is exported, until it is taken.
    batch : dict of str to Tensor
        Inputs, by name.
    dynamic : dict of str to dict
        Their axes that may have any length.
    samples : list
        Of the examples, as NumPy arrays or lists of tokens.
    form : dict
        What the file says of its input.
    tokenizer : str
        The content of a tokenizer.json, for texts.
    """

    name: str
    modules: list[RowsOfNetwork]
    batch: dict[str, Tensor]
    dynamic: dict[str, dict[int, Any]]
    samples: list[Any]
    form: dict[str, Any]
    tokenizer: str = ""

    def take(self) -> RowsOfNetwork:
        """Hand the module over, so that its memory is free when its taker is done."""
        return self.modules.pop()


def network_of(estimator: Any, examples: Any) -> Network:
    """Build what is exported of a fitted featurizer, or of a fine-tuned estimator."""
    featurizer = getattr(estimator, "featurizer_", estimator)
    tuned = getattr(estimator, "changed_", {})
    if featurizer.dtype_ != "float32":
        raise ValueError(
            f"The featurizer computes in {featurizer.dtype_}, and files are written in float32, "
            "whose rows differ. Fit the pipeline with dtype='float32'."
        )
    if featurizer.pooling_ == "none":
        raise ValueError(
            "pooling='none' gives maps, and a file gives rows. Use another pooling; 'flatten' "
            "keeps every number."
        )
    if getattr(featurizer, "truncation", None) == "windows":
        raise ValueError(
            "truncation='windows' makes one row of several forward passes, and a file holds one. "
            "Fit the pipeline with truncation='cut'."
        )
    road = featurizer.road()
    samples = _samples(featurizer, road, examples)
    first = samples[0]
    if isinstance(first, Mapping) and "input_ids" in first:
        return _of_texts(road, samples, tuned)
    if not isinstance(first, Tensor):
        raise _unknown(road.backbone)
    is_picture = first.dtype == torch.uint8 and first.ndim == 3  # noqa: PLR2004
    as_floats = getattr(getattr(road.backbone, "preprocessing", None), "as_floats", False)
    pixels = Pixels(road.backbone, first) if is_picture or as_floats else None
    kind = _picture_form(featurizer, road) if is_picture else {}
    of_rows = hasattr(featurizer, "row_shape_")
    name = "images" if is_picture else "rows" if of_rows else "prepared"
    dtype = "uint8" if is_picture else "float32"
    return Network(
        road.backbone.name,
        [RowsOfNetwork(road, pixels, tuned)],
        {name: torch.stack([first, samples[-1]])},
        {name: {0: _ANY}},
        [sample.numpy() for sample in samples],
        {"kind": "arrays", "name": name, "dtype": dtype, "shape": list(first.shape), **kind},
    )


_ANY = torch.export.Dim.DYNAMIC


def _samples(featurizer: Any, road: Road, examples: Any) -> list[Any]:
    items = featurizer._read(examples, reset=False)  # noqa: SLF001  read as transform reads
    samples = road.backbone.prepare([items.load(i) for i in range(len(items))])
    for i, sample in enumerate(samples):
        if isinstance(sample, BadItemError):
            raise BadItemError(f"{items.name(i)} {sample}. Remove it from examples.")
    return samples


def _picture_form(featurizer: Any, road: Road) -> dict[str, Any]:
    """Say how the runtime prepares images, where it can."""
    describe = getattr(getattr(road.backbone, "preprocessing", None), "describe", None)
    geometry = describe() if describe is not None else {}
    if not can_prepare(geometry):
        return {}
    return {
        "kind": "pictures",
        "geometry": geometry,
        "image_shape": featurizer.image_shape,
        "value_range": featurizer.value_range,
    }


def _of_texts(road: Road, samples: Sequence[Any], tuned: Mapping[str, Any]) -> Network:
    backbone: Any = road.backbone
    longest = max(samples, key=lambda sample: len(sample["input_ids"]))
    module = RowsOfNetwork(road, None, tuned)
    batch = backbone.collate([longest, samples[0]], torch.device("cpu"), torch.float32)
    form = {
        "kind": "texts",
        "padding": backbone.tokenizer.pad_token_id or 0,
        "types": "token_type_ids" in batch,
        "max_length": backbone.max_length,
        "truncation": backbone.truncation,
        "prompt": backbone.prompt,
        "even": padding_shows(backbone, module.network),
    }
    dynamic = {name: {0: _ANY, 1: _ANY} for name in batch}
    name = backbone.name
    return Network(name, [module], batch, dynamic, list(samples), form, _tokenizer(backbone))


def _tokenizer(backbone: Any) -> str:
    """Return a tokenizer.json that gives the very tokens, and padding where that is read."""
    told = str(backbone._texts.backend.to_str())  # noqa: SLF001  as the backbone set it
    if not getattr(backbone, "is_padded", False):
        return told
    made = Tokenizer.from_str(told)
    made.enable_padding(length=backbone.max_length, pad_id=backbone.tokenizer.pad_token_id or 0)
    return str(made.to_str())


def _unknown(backbone: Any) -> TypeError:
    return TypeError(
        f"{backbone.name} prepares its items in a form that cannot be exported: images of uint8 "
        "that are normalised channel by channel, tokens, and arrays of float32 can."
    )
