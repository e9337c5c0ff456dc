"""A network and what is read of it → one compiled graph, from a batch to each output's rows."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ...backbones import Backbone
from ...process import quiet
from .._runner import Outputs
from ..eager._rows import rows_of
from ..eager.fast import flow
from . import _saved
from ._proofs import has_proof, keep_proof


class _Flat(nn.Module):
    """Takes a batch's tensors one by one, and gives the rows of each output."""

    def __init__(self, backbone: Backbone, outputs: Outputs, names: Sequence[str]) -> None:
        super().__init__()
        self.network = backbone.build().float().eval().requires_grad_(requires_grad=False)
        self.trained = nn.ModuleList(backbone.build_trained()).eval()
        self._backbone, self._outputs, self._names = backbone, outputs, names

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        return self._rows(self.network, given)

    def check(self, given: Sequence[Tensor]) -> None:
        """Refuse a network that goes another way for other items; a graph has only one."""
        if flow(self.network, lambda network: self._rows(network, given)).looks_at_values:
            raise ValueError("what it computes depends on values, of which a graph sees one case")

    def _rows(self, network: nn.Module, given: Sequence[Tensor]) -> tuple[Tensor, ...]:
        batch: Any = dict(zip(self._names, given, strict=True)) if self._names else given[0]
        if not self._names and _is_raw(given[0]):
            batch = self._backbone.scaled(given[0].permute(0, 3, 1, 2))
        return tuple(
            rows_of(self._backbone, network, batch, self._outputs, [*self.trained], stops=True)
        )


class _InPython(TorchFunctionMode):
    """Keeps torch's attention in this thread off its fused kernel, which cannot be traced."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


class Graph:
    """A network up to the deepest of some layers, with their poolings, compiled.

    Parameters
    ----------
    backbone : Backbone
    outputs : sequence of (Layer, str)
        Each once.
    batch : Tensor or dict of str to Tensor
        Of two samples; its first axis may have any length, and so may the second of tokens. Bytes,
        which are what `Backbone.raw` gives, are scaled in the graph: there it takes no copies.
    threads : int
        That all batches have which run at the same time.
    """

    def __init__(self, backbone: Backbone, outputs: Outputs, batch: Any, *, threads: int) -> None:
        self._outputs = list(outputs)
        self._names = tuple(batch) if isinstance(batch, Mapping) else ()
        given = self._tensors(batch)
        self._takes = [tensor.dtype for tensor in given]
        self._name = _saved.name_of(backbone, outputs, given)
        self._found = _saved.read(self._name)
        if self._found is None:
            self._converted = _made(self._name, backbone, outputs, self._names, given)
        else:
            self._converted = self._found.graph
        self._threads = threads
        self._compiled: dict[int, Any] = {}
        self._lock = threading.Lock()
        self._own = threading.local()

    def rows(self, batch: Any, outputs: Outputs) -> NDArray[np.float32]:
        """Compute the rows of a batch: those of each output, side by side."""
        given = self._tensors(batch)
        if [tensor.dtype for tensor in given] != self._takes:
            # OpenVINO would convert it, floats to bytes too, and say nothing.
            raise TypeError(f"it takes {self._takes[0]}, and was given {given[0].dtype}")
        found = self._request().infer([tensor.numpy() for tensor in given])
        parts = [found[self._outputs.index(output)] for output in outputs]
        # What a request gives is overwritten by the next one.
        return np.concatenate([np.asarray(part, np.float32) for part in parts], axis=1)

    def was_wrong(self) -> bool:
        """Remove what was saved of it; tell whether it came from there, so that another may do."""
        _saved.remove(self._name)
        return self._found is not None

    @property
    def was_proved(self) -> bool:
        """Whether an earlier process read the same graph, and found the rows of torch."""
        found = self._found
        return found is not None and has_proof(_saved.place_of(self._name), found.checksum)

    def is_right(self) -> None:
        """Learn that its rows were those of torch in two batches."""
        if self._found is not None:  # what was made may differ from what was saved of it
            keep_proof(_saved.place_of(self._name), self._found.checksum)

    def _request(self) -> Any:
        """Return this thread's request, of a graph that has as many threads as torch has here."""
        each = torch.get_num_threads()
        requests = vars(self._own).setdefault("requests", {})
        if each not in requests:
            with self._lock:
                if each not in self._compiled:
                    streams = max(1, self._threads // each)
                    self._compiled[each] = _compiled(self._converted, streams, streams * each)
                requests[each] = self._compiled[each].create_infer_request()
        return requests[each]

    def _tensors(self, batch: Any) -> list[Tensor]:
        if self._names:
            return [batch[name] for name in self._names]
        return [batch.permute(0, 2, 3, 1).contiguous() if _is_raw(batch) else batch]


def _is_raw(batch: Tensor) -> bool:
    return batch.dtype == torch.uint8


def _made(
    name: str | None,
    backbone: Backbone,
    outputs: Outputs,
    names: Sequence[str],
    given: Sequence[Tensor],
) -> Any:
    """Convert a network, and save that for later processes."""
    module = _Flat(backbone, outputs, names)
    module.check(given)
    converted = _converted(module, given)
    _saved.save(name, converted)
    return converted


@quiet
def _converted(module: nn.Module, batch: Sequence[Tensor]) -> Any:
    """Trace a module, and let its batches have any length."""
    import openvino

    with _InPython():
        converted = openvino.convert_model(module, example_input=tuple(batch))
    is_tokens = [not (x.is_floating_point() or _is_raw(x)) for x in batch]
    shapes = [[-1, *([-1] if t else x.shape[1:])] for x, t in zip(batch, is_tokens, strict=True)]
    converted.reshape(dict(zip(converted.inputs, map(openvino.PartialShape, shapes), strict=True)))
    return converted


def _compiled(converted: Any, streams: int, threads: int) -> Any:
    """Compile for the processor; float32 is float32, although a processor may prefer less.

    Threads are bound to no core: each process, and each graph, would bind its own to the same ones.
    """
    import openvino

    hints = {
        "INFERENCE_PRECISION_HINT": "f32",
        "NUM_STREAMS": streams,
        "INFERENCE_NUM_THREADS": threads,
        "ENABLE_CPU_PINNING": False,
    }
    return openvino.Core().compile_model(converted, "CPU", hints)
