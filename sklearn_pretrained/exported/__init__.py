"""An exported file → its answers, with NumPy, ONNX Runtime, Pillow and tokenizers only."""

from ._pipeline import ExportedPipeline, load

__all__ = ["ExportedPipeline", "load"]
