"""A module behind a folder's pooling, as its file describes it → a step, or a refusal by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from . import _sentence_keys as keys
from ._sentence_keys import NotUnderstoodError, module_file, of_type, size_of

ACTIVATIONS = (
    "torch.nn.modules.linear.Identity",
    *(
        f"torch.nn.modules.activation.{name}"
        for name in (
            *("Tanh", "Sigmoid", "ReLU", "ReLU6", "LeakyReLU", "ELU", "CELU", "SELU", "GELU"),
            *("SiLU", "Mish", "Softplus", "Softsign", "Hardtanh", "Hardswish", "Hardsigmoid"),
            *("LogSigmoid", "Tanhshrink", "Hardshrink", "Softshrink"),
        )
    ),
)
"""What may come behind a linear layer: modules of torch that have no weights."""


@dataclass(frozen=True)
class Step:
    """One module behind the pooling.

    Parameters
    ----------
    kind : {"dense", "layernorm", "unit", "cut"}
    size : int, default=0
        The width that it gives.
    path : str, default=""
        The folder of its weights.
    inputs : int, default=0
        The width that it takes.
    activation : str, default=""
        Which of torch's modules comes behind a linear layer.
    bias, residual : bool
        Whether a linear layer has one.
    """

    kind: str
    size: int = 0
    path: str = ""
    inputs: int = 0
    activation: str = ""
    bias: bool = True
    residual: bool = False


def _dense(folder: Path, path: str) -> list[Step]:
    found, place = module_file(folder, path, keys.DENSE)
    activation = found.get("activation_function", "torch.nn.modules.activation.Tanh")
    if activation not in ACTIVATIONS:
        known = ", ".join(name.rpartition(".")[2] for name in ACTIVATIONS)
        raise NotUnderstoodError(
            f"{place} has activation_function={activation!r}; supported are {known} of torch"
        )
    return [
        Step(
            "dense",
            size=size_of(found, "out_features", place),
            path=path,
            inputs=size_of(found, "in_features", place),
            activation=activation.rpartition(".")[2],
            bias=of_type(found.get("bias", True), bool, f"bias in {place}"),
            residual=of_type(found.get("use_residual", False), bool, f"use_residual in {place}"),
        )
    ]


def _layer_norm(folder: Path, path: str) -> list[Step]:
    found, place = module_file(folder, path, keys.LAYER_NORM)
    size = size_of(found, "dimension", place)
    return [Step("layernorm", size=size, path=path, inputs=size)]


def _normalize(folder: Path, path: str) -> list[Step]:
    module_file(folder, path, keys.NORMALIZE)
    return [Step("unit")]


def _dropout(folder: Path, path: str) -> list[Step]:
    module_file(folder, path, keys.DROPOUT)
    return []


STEPS = {"Dense": _dense, "LayerNorm": _layer_norm, "Normalize": _normalize, "Dropout": _dropout}
