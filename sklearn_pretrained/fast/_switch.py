"""The environment → whether networks may take the fast paths."""

import os


def fast_paths() -> bool:
    """Say whether fast paths are on; ``SKLEARN_PRETRAINED_FAST=0`` turns all of them off."""
    return os.environ.get("SKLEARN_PRETRAINED_FAST", "1") != "0"
