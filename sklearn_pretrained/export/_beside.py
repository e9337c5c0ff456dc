"""Weights → a file beside the graphs that name them, and both → one file.

A network's weights are the largest thing in a process that exports. They are written from where
they lie, and only their names, shapes and places go through what becomes of the graph.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..process import need
from ._torch import EXTRA, PURPOSE

_FEW = 1 << 10
"""Tensors of fewer bytes stay in the graph."""
_EVEN = 64
_PIECE = 1 << 24
_MOST_BYTES = (1 << 31) - (1 << 20)
"""What a file of ONNX cannot hold."""


class Beside:
    """A file of weights.

    Parameters
    ----------
    path : Path
        The file of the graph; that of the weights lies beside it.
    """

    def __init__(self, path: Path) -> None:
        self._onnx = need("onnx", install=EXTRA, purpose=PURPOSE)
        self.graph, self.weights = path, path.with_name(f"{path.name}.data")

    def take(self, model: Any) -> Any:
        """Move large weights of a program of torch into the file; return its ONNX graph.

        Parameters
        ----------
        model : Model of onnx_ir
        """
        ir = need("onnx_ir", install=EXTRA, purpose=PURPOSE)
        for value in model.graph.initializers.values():
            tensor = value.const_value
            if tensor.nbytes > _FEW:
                value.const_value = ir.ExternalTensor(
                    self.weights.name,
                    *self._kept(tensor.numpy()),
                    tensor.dtype,
                    shape=tensor.shape,
                    name=value.name,
                    base_dir=self.weights.parent,
                )
        return ir.to_proto(model)

    def read(self, tensor: Any) -> NDArray[Any]:
        """Read one tensor of a graph, wherever it is."""
        found: NDArray[Any] = self._onnx.numpy_helper.to_array(tensor, str(self.weights.parent))
        return found

    def whole(self, model: Any) -> Any:
        """Return a copy of a graph that holds its weights itself."""
        made = self._onnx.ModelProto()
        made.CopyFrom(model)
        self._onnx.load_external_data_for_model(made, str(self.weights.parent))
        return made

    def write(self, model: Any) -> None:
        """Write a graph, which names its weights, with those of its own put beside."""
        for tensor in model.graph.initializer:
            if len(tensor.raw_data) > _FEW:
                where = self._kept(self._onnx.numpy_helper.to_array(tensor))
                self._onnx.external_data_helper.set_external_data(tensor, self.weights.name, *where)
                tensor.ClearField("raw_data")
        self.graph.write_bytes(model.SerializeToString())

    def write_as_one(self, model: Any) -> None:
        """Write a graph with the weights in it, if a file of ONNX can hold them."""
        self.write(model)
        if not self.weights.exists():
            return
        if self.graph.stat().st_size + self.weights.stat().st_size > _MOST_BYTES:
            return
        self.graph.unlink()
        with self.graph.open("wb") as file, self.weights.open("rb") as weights:
            for piece in self._pieces(model, weights):
                file.write(piece)
        self.weights.unlink()

    def clear(self) -> None:
        """Remove both files."""
        self.graph.unlink()
        self.weights.unlink(missing_ok=True)

    def _kept(self, numbers: NDArray[Any]) -> tuple[int, int]:
        """Append numbers to the file; return where they are, and how many bytes."""
        with self.weights.open("ab") as file:
            start = -(-file.tell() // _EVEN) * _EVEN
            file.write(bytes(start - file.tell()))
            file.write(np.ascontiguousarray(numbers).data)
        return start, numbers.nbytes

    def _pieces(self, model: Any, weights: BinaryIO) -> Iterator[bytes]:
        """Yield the bytes of a model: what repeats in a message may stand behind all else."""
        onnx, kind = self._onnx, self._onnx.TensorProto
        rest = onnx.ModelProto()
        rest.CopyFrom(model)
        tensors = [one for one in rest.graph.initializer if one.data_location == kind.EXTERNAL]
        held = [one for one in rest.graph.initializer if one.data_location != kind.EXTERNAL]
        places = []
        for tensor in tensors:
            where = {entry.key: int(entry.value) for entry in tensor.external_data[1:]}
            places.append((where["offset"], where["length"]))
            del tensor.external_data[:]
            tensor.ClearField("data_location")
        heads = [tensor.SerializeToString() for tensor in tensors]
        heads = [
            head + _begin(kind, "raw_data", length)
            for head, (_, length) in zip(heads, places, strict=True)
        ]
        heads = [
            _begin(onnx.GraphProto, "initializer", len(head) + length) + head
            for head, (_, length) in zip(heads, places, strict=True)
        ]
        del rest.graph.initializer[:]
        rest.graph.initializer.extend(held)
        graph = rest.graph.SerializeToString()
        rest.ClearField("graph")
        size = len(graph) + sum(map(len, heads)) + sum(length for _, length in places)
        yield rest.SerializeToString() + _begin(onnx.ModelProto, "graph", size) + graph
        for head, (start, length) in zip(heads, places, strict=True):
            yield head
            weights.seek(start)
            for done in range(0, length, _PIECE):
                yield weights.read(min(_PIECE, length - done))


def _begin(message: Any, field: str, length: int) -> bytes:
    """Return what stands before the bytes of a field, as protobuf writes it."""
    number = message.DESCRIPTOR.fields_by_name[field].number
    return _varint(number << 3 | 2) + _varint(length)


def _varint(number: int) -> bytes:
    made = bytearray()
    while number >> 7:
        made.append(number & 127 | 128)
        number >>= 7
    return bytes([*made, number])
