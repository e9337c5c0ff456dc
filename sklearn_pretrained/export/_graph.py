"""Networks, tables and scikit-learn steps → one ONNX graph, of which each part is an output."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis

from ..process import need
from ._labels import labelled
from ._network import Network
from ._parts import FINE_TUNED, Join, Part, Source, Step, Table, dense
from ._steps import ML
from ._torch import EXTRA, PURPOSE, graph_of_network
from ._tuned import graph_of_head

Facts = dict[str, Any]


@dataclass(frozen=True)
class Port:
    """A tensor that another part may read: its name, type, and number of columns."""

    tensor: str
    dtype: str
    width: int


class Graph:
    """A graph that grows part by part.

    Parameters
    ----------
    networks : dict of str to (str, Network)
        By the part's name: the prefix of its inputs, and what is exported.
    keep : callable
        Makes the graph of a program of torch, and keeps its weights.

    Attributes
    ----------
    model : ModelProto
    outputs : dict
        What the file says of its outputs.
    computing : list of str
        The names of the networks' nodes.
    steps : list of (Step, ModelProto)
        Each with the graph of it alone.
    """

    def __init__(
        self, networks: dict[str, tuple[str, Network]], keep: Callable[[Any], Any]
    ) -> None:
        self._onnx = need("onnx", install=EXTRA, purpose=PURPOSE)
        self.outputs: Facts = {}
        self.steps: list[tuple[Step, Any]] = []
        self.ports: dict[str, list[Port]] = {}
        self._read: dict[str, str] = {}
        self.model: Any = None
        for name, (prefix, network) in networks.items():
            made = graph_of_network(network, keep)
            if prefix:
                del made.graph.value_info[:]  # whose unnamed sizes are each graph's own
                _rename_sizes(made, prefix)
                made = self._onnx.compose.add_prefix(made, prefix)
            self._read[name] = made.graph.output[0].name
            if self.model is None:
                self.model = made
                _name_opsets(made, opset_of(made))
            else:
                self._append(made, {})
        self.computing = [node.name for node in self.model.graph.node]

    def add(self, part: Part) -> None:
        """Add one part, whose outputs become outputs of the file."""
        names = list(part.expected)
        if isinstance(part, Source):
            tensors = [self._read[part.name]]
        elif isinstance(part, Table):
            return
        elif isinstance(part, Join):
            tensors = [self._joined(part)]
        else:
            assert isinstance(part, Step)
            tensors = self._step(part)
        if part.rows is not None:
            width = dense(part.rows[:1]).shape[1]
            self.ports[part.name] = [Port(tensors[0], self._type_of(tensors[0]), width)]
            self.outputs["transform"] = output(tensors[0])
        for name, tensor in zip(names, tensors, strict=False):
            self.outputs[name] = output(tensor)

    def add_table(self, part: Table, prefix: str, inputs: Sequence[Facts]) -> None:
        """Add the inputs of a table."""
        helper = self._onnx.helper
        self.ports[part.name] = []
        for entry in inputs:
            kind, name = getattr(self._onnx.TensorProto, _TYPES[entry["dtype"]]), entry["name"]
            value = helper.make_tensor_value_info(prefix + name, kind, ["batch", entry["count"]])
            self.model.graph.input.append(value)
            self.ports[part.name].append(Port(prefix + name, entry["dtype"], entry["count"]))

    def share(self, tensor: str, first: str) -> None:
        """Let two inputs that are always fed the same be one."""
        graph = self.model.graph
        (place,) = (i for i, value in enumerate(graph.input) if value.name == tensor)
        del graph.input[place]
        graph.node.insert(0, self._onnx.helper.make_node("Identity", [first], [tensor]))

    def _step(self, part: Step) -> list[str]:
        ports = self.ports[part.reads.name]
        if isinstance(part.estimator, FINE_TUNED):
            made = graph_of_head(part, ports, self.model)
        else:
            make = labelled(part.estimator)
            made = make(
                part.name, part.estimator, ports, self.model, transforms=part.rows is not None
            )
        self.steps.append((part, made))
        fed = [value.name for value in made.graph.input]
        self._append(made, {name: port.tensor for name, port in zip(fed, ports, strict=True)})
        return [
            self._laid_out(value, part.expected[name], part)
            for name, value in zip(part.expected, made.graph.output, strict=False)
        ]

    def _laid_out(self, value: Any, wanted: Any, part: Step) -> str:
        """Put the rows of an output first; several outputs of one method lie behind each other."""
        name = f"{value.name}-laid-out"
        if isinstance(wanted, list):
            if value.type.HasField("sequence_type"):
                how = {"op_type": "ConcatFromSequence", "axis": 1, "new_axis": 1}
            else:
                how = {"op_type": "Transpose", "perm": [1, 0, 2]}
            kind = self._onnx.TensorProto.FLOAT
        elif isinstance(part.estimator, QuadraticDiscriminantAnalysis) and wanted.ndim == 1:
            # skl2onnx gives its labels as one row.
            how, kind = {"op_type": "Transpose", "perm": [1, 0]}, value.type.tensor_type.elem_type
        else:
            return value.name
        graph = self.model.graph
        graph.node.append(self._onnx.helper.make_node(inputs=[value.name], outputs=[name], **how))
        (place,) = (i for i, one in enumerate(graph.output) if one.name == value.name)
        graph.output[place].CopyFrom(self._onnx.helper.make_tensor_value_info(name, kind, None))
        return name

    def _joined(self, part: Join) -> str:
        helper, kind = self._onnx.helper, self._onnx.TensorProto
        tensors: list[str] = []
        for one, weight in zip(part.parts, part.weights, strict=True):
            for port in self.ports[one.name]:
                if port.dtype == "string":
                    raise TypeError(
                        f"{part.name!r} passes strings on, and a file's rows are numbers. Encode "
                        "them first, with a OneHotEncoder for instance."
                    )
                number = f"{part.name}/{len(tensors)}"
                node = helper.make_node("Cast", [port.tensor], [number], to=kind.FLOAT)
                self.model.graph.node.append(node)
                if weight != 1:
                    by = helper.make_tensor(f"{number}-weight", kind.FLOAT, [], [float(weight)])
                    self.model.graph.initializer.append(by)
                    node = helper.make_node("Mul", [number, by.name], [f"{number}-weighted"])
                    self.model.graph.node.append(node)
                    number = f"{number}-weighted"
                tensors.append(number)
        name = f"{part.name}/rows"
        self.model.graph.node.append(helper.make_node("Concat", tensors, [name], axis=1))
        shape = ["batch", dense(part.rows[:1]).shape[1]]
        self.model.graph.output.append(helper.make_tensor_value_info(name, kind.FLOAT, shape))
        return name

    def _append(self, made: Any, fed: dict[str, str]) -> None:
        """Put another graph behind or beside this one; identities lead to its inputs."""
        whole, part = self.model.graph, made.graph
        make = self._onnx.helper.make_node
        whole.node.extend(make("Identity", [tensor], [name]) for name, tensor in fed.items())
        whole.node.extend(part.node)
        whole.initializer.extend(part.initializer)
        whole.sparse_initializer.extend(part.sparse_initializer)
        whole.input.extend(value for value in part.input if value.name not in fed)
        whole.output.extend(part.output)
        self.model.functions.extend(made.functions)

    def _type_of(self, tensor: str) -> str:
        (value,) = (one for one in self.model.graph.output if one.name == tensor)
        kind = self._onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type)
        return next(name for name, known in _TYPES.items() if known == kind)


_TYPES = {
    "float32": "FLOAT",
    "float64": "DOUBLE",
    "int64": "INT64",
    "string": "STRING",
    "bool": "BOOL",
}


def output(tensor: str) -> Facts:
    """Say of an output where it is; how it is read is known once it was."""
    return {"tensor": tensor, "form": "as it is", "dtype": None}


def opset_of(model: Any) -> int:
    """Return which version of ONNX's own operators a graph uses."""
    return max(entry.version for entry in model.opset_import if entry.domain in {"", "ai.onnx"})


def _name_opsets(model: Any, version: int) -> None:
    onnx = need("onnx", install=EXTRA, purpose=PURPOSE)
    del model.opset_import[:]
    model.opset_import.extend(onnx.helper.make_opsetid(*entry) for entry in (("", version), ML))


def _rename_sizes(model: Any, prefix: str) -> None:
    for value in (*model.graph.input, *model.graph.output):
        for size in value.type.tensor_type.shape.dim:
            if size.dim_param:
                size.dim_param = prefix + size.dim_param
