"""A program of `torch.export` → a backbone with the layers of the network that was exported."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .._weights import LocalFile
from ._module import ModuleBackbone
from ._program_file import open_program

SUFFIX = ".pt2"


def is_program(model: Any) -> bool:
    """Tell an exported program, or the path of a file that holds one."""
    if isinstance(model, str):
        return model.endswith(SUFFIX)
    return isinstance(model, torch.export.ExportedProgram)


class _ProgramWeights:
    """Graph and tensors of a program in memory, hashed anew whenever they are asked."""

    def __init__(self, program: Any) -> None:
        self.program = program

    def digest(self) -> str:
        hasher = hashlib.sha256(str(self.program.graph).encode())
        held = {**self.program.state_dict, **self.program.constants}
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
    model : str or torch.export.ExportedProgram
        The program, or the path of its file, which ends in ``.pt2``.
    weights : {"default"}
        The program's own.
    preprocessing : callable, optional
        PIL image → tensor (C, H, W). Without it the network reads numeric rows.
    shape : tuple of int, optional
        Of one numeric row.
    """

    def __init__(self, model: Any, *, weights: Any = "default", **parameters: Any) -> None:
        if weights != "default":
            raise ValueError(
                f"weights={str(weights)!r}: an exported program comes with its weights; leave "
                "weights out."
            )
        super().__init__(self._layered, **parameters)
        if isinstance(model, str):
            path = Path(model).expanduser().absolute()
            self.name = f"program/{path.stem}"
            file = LocalFile(path)
            self.weights = file
            self._open = lambda: open_program(file.find())
        else:
            self.name = "program/exported"
            self.weights = _ProgramWeights(model)
            self._open = lambda: model

    @property
    def architecture(self) -> str:
        """Digest of the program, with the input's shape."""
        return f"{self.name}@{self.shape}:{self.weights.digest()}"

    def recipe(self) -> dict[str, Any]:
        """Return shape and preprocessing; the digest of the weights stands for the program."""
        return {**self._sample_facts(), "network": "program"}

    def _layered(self) -> nn.Module:
        """Check the program, and give it back the modules that it had."""
        program = self._open()
        _check_frozen(program)
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


def _check_frozen(program: Any) -> None:
    """Refuse a program in which dropout or batch statistics are at work."""
    graphs = [m.graph for m in program.graph_module.modules() if hasattr(m, "graph")]
    for node in (node for graph in graphs for node in graph.nodes):
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
            f"The program reads {len(inputs)} inputs; export a network that reads one tensor."
        )
    expected = tuple(inputs[0].shape)
    if isinstance(expected[0], int):
        raise ValueError(  # noqa: TRY004  the type tells a fixed size from a free one
            f"The program reads batches of exactly {expected[0]}. Export it for any number: "
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
            f"The program reads samples of shape ({wanted}), and {shape} is what it would be "
            "given. Change the preprocessing, or export the program for other sizes."
        )
