"""A program of `torch.export` → a backbone with the layers of the network that was exported."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...exceptions import WeightsError
from .._weights import LocalFile, without_advice
from ._module import ModuleBackbone

SUFFIX = ".pt2"
_OF_TORCH = {"aten", "prims", "torchvision", "quantized_decomposed"}


def is_program(model: Any) -> bool:
    """Tell an exported program, or the call that loads one: ``partial(torch.export.load, path)``.

    A path alone is refused. torch reads such files with pickle and evaluates expressions in them,
    so whoever opens one has to say that they trust it.
    """
    if isinstance(model, str) and model.endswith(SUFFIX):
        raise ValueError(
            f"model={str.__str__(model)!r} is the path of an exported program, and loading such "
            "a file can run code. If you trust it, pass the program, torch.export.load(path), or, "
            "to keep pickles small, functools.partial(torch.export.load, path)."
        )
    return isinstance(model, torch.export.ExportedProgram) or _path(model) is not None


def _path(model: Any) -> Path | None:
    """Return the path in ``functools.partial(torch.export.load, path)``."""
    if isinstance(model, functools.partial) and model.func is torch.export.load:
        given = model.func, model.args, model.keywords
        if len(model.args) == 1 and not model.keywords and isinstance(model.args[0], str | Path):
            return Path(model.args[0]).expanduser().absolute()
        raise ValueError(f"functools.partial{given} must have one path and nothing else.")
    return None


class _ProgramWeights:
    """Graphs and tensors of a program in memory, hashed anew whenever they are asked."""

    def __init__(self, program: Any) -> None:
        self.program = program

    def digest(self) -> str:
        program = self.program
        said = (program.graph, program.graph_signature, program.module_call_graph)
        hasher = hashlib.sha256(repr([str(part) for part in said]).encode())
        held = {**program.state_dict, **program.constants}
        for name, tensor in sorted(held.items()):
            if not isinstance(tensor, Tensor):
                hasher.update(f"{name}={tensor!r}".encode())
                continue
            hasher.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}".encode())
            flat = tensor.detach().cpu().contiguous().reshape(-1)
            hasher.update(flat.view(torch.uint8).numpy().data)
        return hasher.hexdigest()

    def describe(self) -> str:
        return "the tensors of the exported program that was passed"


class ProgramBackbone(ModuleBackbone):
    """A network that was exported, with the names that its submodules had.

    Parameters
    ----------
    model : torch.export.ExportedProgram or functools.partial
        The program, or the call that loads it from a file.
    weights : {"default"}
        The program's own.
    preprocessing : callable, optional
        PIL image → tensor (C, H, W). Without it the network reads numeric rows.
    shape : tuple of int, optional
        Of one numeric row.
    """

    stays_apart = (
        "is an exported program, which is code as well as weights and has a file of its own "
        "(torch.export.save); keep that file beside the estimator's"
    )

    def __init__(self, model: Any, *, weights: Any = "default", **parameters: Any) -> None:
        if weights != "default":
            raise ValueError(
                f"weights={str(weights)!r}: an exported program comes with its weights; leave "
                "weights out."
            )
        super().__init__(self._layered, **parameters)
        self._program, self._path = model, _path(model)
        path = self._path
        if path is None:
            self.name = "program/exported"
            self.weights = _ProgramWeights(model)
            self._open = lambda: model
        else:
            self.name = f"program/{path.stem}"
            file = LocalFile(path)
            self.weights = file
            self._open = lambda: _load(file.find())

    @property
    def architecture(self) -> str:
        """Digest of the program, with the input's shape."""
        return f"{self.name}@{self.shape}:{self.weights.digest()}"

    @property
    def shareable(self) -> bool:
        """Whether the preprocessing could be known to be the same; a program is."""
        return self._preparing is None or not self._preparing.own

    def is_still(self, weights: str) -> bool:
        """Tell whether its file is as it was; of a program in memory, all would have to be read."""
        return (
            self._path is not None
            and _path(self._program) == self._path
            and self._is_prepared_as_then()
            and self.weights.digest() == weights
        )

    def look_again(self) -> None:
        """Do nothing: a file is looked at, and a program in memory hashed, each time."""

    def recipe(self) -> dict[str, Any]:
        """Return shape and preprocessing; the digest of the weights stands for the program."""
        return {**self._sample_facts(), "network": "program"}

    def _layered(self) -> nn.Module:
        """Check the program, and give it back the modules that it had."""
        program = self._open()
        _check_calls(program)
        _check_input(program, self.shape)
        return torch.export.unflatten(program)

    def skeleton(self, *, grown: bool) -> nn.Module:  # noqa: ARG002
        """Put the program on the meta device."""
        return self._layered().eval().to("meta")

    def rehearse(self, network: nn.Module, batch: int, *, grown: bool) -> Any:
        """Run a skeleton; larger inputs than the program allows still tell which axes grow."""
        network.check_input_constraints = not grown  # type: ignore[assignment]
        return super().rehearse(network, batch, grown=grown)

    def build(self) -> nn.Module:
        """Return the program as modules, with its tensors."""
        return self._layered()


def _load(path: Path) -> Any:
    try:
        return torch.export.load(path)
    except Exception as error:
        raise WeightsError(
            f"{path} could not be read as an exported program: {without_advice(error)}. Programs "
            "depend on the version of torch; export the network again with this version."
        ) from error


def _check_calls(program: Any) -> None:
    """Refuse a program in which dropout, batch statistics, or code from elsewhere is at work."""
    for node in program.graph.nodes:
        if getattr(node.target, "namespace", "aten") not in _OF_TORCH:
            raise ValueError(
                f"The program calls {node.target}, which is not one of torch's plain operators: "
                "a change of its code would not be detected, and a branch could depend on other "
                "rows. Pass the network itself, or a function that returns it."
            )
        schema = getattr(node.target, "_schema", None)
        for i, argument in enumerate(schema.arguments if schema is not None else ()):
            value = node.args[i] if i < len(node.args) else node.kwargs.get(argument.name)
            if (argument.name in {"train", "training"} and value is True) or (
                argument.name == "dropout_p" and value
            ):
                raise ValueError(
                    f"The program was exported in training mode ({node.target} has "
                    f"{argument.name}={value}), so a row would depend on chance or on the rows "
                    "beside it. Call network.eval() before torch.export.export."
                )


def _check_input(program: Any, shape: tuple[int, ...]) -> None:
    """Refuse a program that reads something else than batches of samples of this shape."""
    names = program.graph_signature.user_inputs
    inputs = [node.meta["val"] for node in program.graph.nodes if node.name in names]
    if [isinstance(one, Tensor) for one in inputs] != [True]:
        raise ValueError(
            f"The program takes {len(inputs)} inputs; export a network that takes one tensor."
        )
    expected = tuple(inputs[0].shape)
    if isinstance(expected[0], int):
        raise ValueError(  # noqa: TRY004  the type tells a fixed size from a free one
            f"The program takes batches of exactly {expected[0]}. Export it for any batch size: "
            "torch.export.export(network, (inputs,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC}"
            ",)), with at least two samples in inputs."
        )
    fits = len(expected) == len(shape) + 1 and all(
        not isinstance(wanted, int) or wanted == given
        for wanted, given in zip(expected[1:], shape, strict=True)
    )
    if not fits:
        wanted = ", ".join(str(size) if isinstance(size, int) else "any" for size in expected[1:])
        raise ValueError(
            f"The program takes samples of shape ({wanted}), but would receive {shape}. Change the "
            "preprocessing, or export the program for other sizes."
        )
