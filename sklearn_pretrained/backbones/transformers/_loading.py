"""A folder → what transformers reads from it: configuration, tokenizer, network; never any code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..._process import remembered
from ...exceptions import WeightsError

_ENCODERS = {"t5": "T5EncoderModel", "mt5": "MT5EncoderModel", "umt5": "UMT5EncoderModel"}


@contextmanager
def quietly() -> Iterator[None]:
    """Keep transformers from reporting what is expected here (a head that is left out)."""
    from transformers.utils import logging

    level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()


@remembered("configurations of networks", maxsize=8)
def config(folder: Path, version: str) -> Any:  # noqa: ARG001
    """Read a folder's configuration, once for each ``version`` of its files."""
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)


@remembered("tokenizers", maxsize=8)
def tokenizer(folder: Path, version: str) -> Any:  # noqa: ARG001
    """Read a folder's tokenizer, once for each ``version`` of its files.

    It is for facts alone: a call would set it for every thread.
    """
    return read_tokenizer(folder)


def read_tokenizer(folder: Path) -> Any:
    """Read a folder's tokenizer in its fast form."""
    from transformers import AutoTokenizer

    try:
        found = AutoTokenizer.from_pretrained(
            folder, trust_remote_code=False, local_files_only=True
        )
    except ImportError as error:  # of the library that a tokenizer in Python needs
        raise WeightsError(
            f"The tokenizer in {folder} has no fast form: {' '.join(str(error).split())[:80]}… "
            "Take a network whose tokenizer has one, such as SigLIP 2 instead of SigLIP."
        ) from error
    if not found.is_fast:
        raise WeightsError(
            f"The tokenizer in {folder} has no fast form (tokenizer.json). Convert it with "
            "AutoTokenizer.from_pretrained(folder).save_pretrained(folder)."
        )
    return found


@remembered("image processors", maxsize=8)
def image_processor(folder: Path, version: str) -> Any:  # noqa: ARG001
    """Read a folder's image processor, once for each ``version`` of its files."""
    from transformers import AutoImageProcessor

    with quietly():
        return AutoImageProcessor.from_pretrained(
            folder, trust_remote_code=False, local_files_only=True
        )


def empty(config: Any) -> nn.Module:
    """Build the text encoder of a configuration, with the weights of its initialisation."""
    import transformers

    return build(getattr(transformers, _ENCODERS.get(config.model_type, "AutoModel")), config)


def build(kind: Any, config: Any) -> nn.Module:
    """Build a network of one of transformers' classes, with the weights of its initialisation."""
    with quietly():
        return kind.from_config(config) if hasattr(kind, "from_config") else kind(config)


def load(folder: Path, config: Any, kind: Any = None) -> nn.Module:
    """Load the network of a folder; every tensor but a pooler's must be there.

    Parameters
    ----------
    folder : Path
    config : object
        The folder's configuration, or that of the part to load.
    kind : type, optional
        The class to load; a text encoder's where there is none.
    """
    import transformers

    if kind is None:
        kind = getattr(transformers, _ENCODERS.get(config.model_type, "AutoModel"))
    with quietly():
        network, report = kind.from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            trust_remote_code=False,
            local_files_only=True,
            use_safetensors=bool(list(folder.glob("*.safetensors"))) or None,
            weights_only=True,
            output_loading_info=True,
        )
    missing = [name for name in report["missing_keys"] if not name.startswith("pooler.")]
    if missing:
        raise WeightsError(
            f"The weights in {folder} do not fit the network: {len(missing)} tensors are missing, "
            f"such as {missing[0]!r}."
        )
    if report["missing_keys"]:
        network.pooler = None  # its weights would be random
    return network
