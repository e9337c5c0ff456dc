"""OpenVINO on a processor → rows, where they are those of torch."""

from ._runner import OpenVINORunner

__all__ = ["OpenVINORunner"]
