"""A fitted pipeline → one ONNX file with the same answers, or its network as a torch program."""

from ._export import export_onnx
from ._program import export_program

__all__ = ["export_onnx", "export_program"]
