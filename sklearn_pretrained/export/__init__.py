"""A fitted pipeline → one ONNX file with the same answers, proven on examples."""

from ._export import export_onnx

__all__ = ["export_onnx"]
