"""Undocumented names of torch, transformers and timm in use → their purpose, and a probe of each.

A release of these libraries may move any of them. The tests walk over the table, so that they name
the release and what it moved.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_any

from ...taps import Listener, listening
from .fast import is_native
from .fast._convs import packs
from .fast._linears import is_there
from .fast._pairs import flow


@dataclass(frozen=True)
class Internal:
    """Undocumented names that serve one purpose.

    Parameters
    ----------
    names : tuple of str
        The private parts of torch's names, as they are written in the code; of other libraries,
        the modules and what is imported from them.
    purpose : str
    without : str
        What happens in a release that does not have them.
    probe : callable
        Returns whether they exist and behave as expected.
    library : str, default="torch"
        Name of the package.
    """

    names: tuple[str, ...]
    purpose: str
    without: str
    probe: Callable[[], bool]
    library: str = "torch"


def _hooks_hear() -> bool:
    heard: list[Any] = []
    module = nn.Identity()
    listener = Listener(
        lambda *given: heard.append(given[2]), lambda _module, gave: heard.append(gave)
    )
    with listening({module: listener}):
        module(input=1)
    module(input=2)
    return heard == [{"input": 1}, 1]


class _Looks(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        x.add_(1)
        return x if x.sum() > 0 else -x


def _values_are_seen() -> bool:
    looked = [flow(network, lambda net: net(torch.ones(2))) for network in (nn.ReLU(), _Looks())]
    return [seen.looks_at_values for seen in looked] == [False, True]


def _in_place_is_counted() -> bool:
    x = torch.ones(2)
    before = x._version
    x.add_(1)
    return x._version > before


def _convolves() -> bool:
    conv, x = nn.Conv2d(1, 1, 3), torch.ones(1, 1, 5, 5)
    with torch.no_grad():
        return torch.equal(conv._conv_forward(x, conv.weight, conv.bias), conv(x))


def _tells_operators() -> bool:
    add = torch.ops.aten.add
    return isinstance(add, torch._ops.OpOverloadPacket) and isinstance(
        add.default, torch._ops.OpOverload
    )


def _keeps_versions() -> bool:
    return nn.BatchNorm1d(1).state_dict()._metadata[""]["version"] > 0  # type: ignore[attr-defined]


def _knows_views() -> bool:
    whole = torch.ones(2)
    return whole._base is None and whole[:1]._base is whole


def _hushes() -> bool:
    from transformers.utils import logging

    return callable(logging.set_tqdm_hook) and callable(logging.EmptyTqdm)


def _names_networks() -> bool:
    from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

    return MODEL_MAPPING_NAMES["t5"] == "T5Model"


def _has_towers() -> bool:
    from transformers import PreTrainedModel
    from transformers.models.blip.modeling_blip import BlipPreTrainedModel
    from transformers.models.blip.modeling_blip_text import BlipTextModel

    return all(issubclass(one, PreTrainedModel) for one in (BlipPreTrainedModel, BlipTextModel))


def _prepares_in_steps() -> bool:
    from transformers import ViTImageProcessor
    from transformers.image_processing_backends import TorchvisionBackend

    from ...backbones.transformers._vision_processing import STEPS

    return issubclass(ViTImageProcessor, TorchvisionBackend) and all(
        getattr(ViTImageProcessor, step) is getattr(TorchvisionBackend, step) for step in STEPS
    )


def _names_resampling() -> bool:
    from transformers.image_utils import PILImageResampling

    return PILImageResampling(2).name.lower() == "bilinear"


def _attends() -> bool:
    from transformers.integrations.sdpa_attention import sdpa_attention_forward
    from transformers.masking_utils import sdpa_mask

    x = torch.linspace(-1, 1, 24).view(1, 2, 3, 4)
    module = nn.Module()
    module.is_causal = False  # type: ignore[assignment]
    found = sdpa_attention_forward(module, x, x, x, None)[0]
    expected = nn.functional.scaled_dot_product_attention(x, x, x).transpose(1, 2)
    return callable(sdpa_mask) and torch.allclose(found, expected)


def _reads_folders() -> bool:
    from timm.models._hub import load_model_config_from_path

    return callable(load_model_config_from_path)


INTERNALS = (
    Internal(
        ("_reorder_convolution_weight", "_convolution_pointwise", "_nbytes"),
        "convolutions whose weights are laid out for oneDNN, activation included",
        "convolutions run as torch runs them, with the batch norm folded in",
        packs,
    ),
    Internal(
        ("_reorder_linear_weight", "_linear_pointwise"),
        "linear layers through oneDNN",
        "linear layers run as torch runs them",
        is_there,
    ),
    Internal(
        ("_conv_forward",),
        "a convolution with another weight than the module's",
        "nothing is folded: the trial fails",
        _convolves,
    ),
    Internal(
        ("_forward_hooks", "_forward_pre_hooks", "_forward_pre_hooks_with_kwargs"),
        "hooks set by one assignment each, which no interrupt can split",
        "no layer can be read",
        _hooks_hear,
    ),
    Internal(
        ("_version", "_C"),
        "in-place operations, and looking at tensors without being recorded",
        "nothing is folded: the network cannot be watched",
        _in_place_is_counted,
    ),
    Internal(
        ("_python_dispatch",),
        "operations whose result Python can branch on",
        "the package cannot be imported",
        _values_are_seen,
    ),
    Internal(
        ("_apply",),
        "complex weights in single precision",
        "networks with complex weights cannot be loaded",
        lambda: nn.Linear(1, 1)._apply(lambda x: x.double()).weight.dtype == torch.float64,
    ),
    Internal(
        ("_is_avx512_bf16_supported", "_is_amx_tile_supported"),
        "whether a processor multiplies in bfloat16",
        'dtype="auto" is float32 on processors',
        lambda: isinstance(is_native(torch.bfloat16, torch.device("cpu")), bool),
    ),
    Internal(
        ("_ops",),
        "operators in the code of users' networks and in exported programs",
        "the package cannot be imported",
        _tells_operators,
    ),
    Internal(
        ("_is_full_backward_hook",),
        "a part of a module that only training needs",
        "a network counts as another one after a backward hook",
        lambda: "_is_full_backward_hook" in vars(nn.Module()),
    ),
    Internal(
        ("_metadata",),
        "versions of modules, which files of safetensors do not contain",
        "weights in safetensors files cannot be loaded",
        _keeps_versions,
    ),
    Internal(
        ("_local_scalar_dense", "_grouped_mm"),
        "layers planned on the meta device, mixtures of experts included",
        "no network can be planned",
        lambda: all(hasattr(torch.ops.aten, op) for op in ("_local_scalar_dense", "_grouped_mm")),
    ),
    Internal(
        ("_base",),
        "hidden states that are slices of a layer's output",
        "no text encoder can be planned",
        _knows_views,
    ),
    Internal(
        ("_pytree",),
        "tensors within the structures that modules receive and return",
        "the package cannot be imported",
        lambda: tree_any(lambda one: one == 1, {"a": [0, 1]}),
    ),
    Internal(
        ("transformers.utils.logging",),
        "networks loaded without progress bars and reports, in one thread",
        "transformers shows a progress bar while a network is loaded",
        _hushes,
        "transformers",
    ),
    Internal(
        ("transformers.models.auto.modeling_auto.MODEL_MAPPING_NAMES",),
        "encoders of networks that also have a decoder",
        "text encoders cannot be loaded",
        _names_networks,
        "transformers",
    ),
    Internal(
        (
            "transformers.models.blip.modeling_blip.BlipPreTrainedModel",
            "transformers.models.blip.modeling_blip_text.BlipTextModel",
        ),
        "the towers of BLIP, each with its projection",
        "BLIP cannot be loaded",
        _has_towers,
        "transformers",
    ),
    Internal(
        ("transformers.image_processing_backends.TorchvisionBackend",),
        "image processors that only resize, crop and normalise",
        "vision networks of transformers cannot be loaded",
        _prepares_in_steps,
        "transformers",
    ),
    Internal(
        ("transformers.image_utils.PILImageResampling",),
        "the interpolation of an image processor",
        "vision networks of transformers cannot be loaded",
        _names_resampling,
        "transformers",
    ),
    Internal(
        (
            "transformers.integrations.sdpa_attention.sdpa_attention_forward",
            "transformers.masking_utils.sdpa_mask",
        ),
        "attention within each text of a row of texts",
        "the trial fails, and texts are padded",
        _attends,
        "transformers",
    ),
    Internal(
        ("timm.models._hub.load_model_config_from_path",),
        "networks of timm in folders",
        "model='timm/local-dir:…' cannot be loaded",
        _reads_folders,
        "timm",
    ),
)
