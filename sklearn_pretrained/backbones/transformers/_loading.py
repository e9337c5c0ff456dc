"""A folder → what transformers reads from it: configuration, tokenizer, network; never any code."""

from __future__ import annotations

import copy
import inspect
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ...exceptions import WeightsError
from ...process import once, remembered


class _Thread(threading.local):
    is_quiet = False


_thread = _Thread()


@contextmanager
def quietly() -> Iterator[None]:
    """Keep transformers from reporting what is expected here (a head that is left out).

    Only this thread is quiet, and transformers' own settings stay what they are.
    """
    _ask_who_reports()
    outer, _thread.is_quiet = _thread.is_quiet, True
    try:
        yield
    finally:
        _thread.is_quiet = outer


@once("transformers' reports and bars ask whether their thread is loading a network here")
def _ask_who_reports() -> None:
    from transformers.utils import logging as reports

    reports.get_logger()  # which gives the library its handler
    for handler in logging.getLogger("transformers").handlers:
        handler.addFilter(lambda _record: not _thread.is_quiet)
    if not hasattr(reports, "set_tqdm_hook"):
        return  # of a version that shows its bars to everyone

    def bar(make: Any, args: Any, options: Any) -> Any:
        if _thread.is_quiet:
            return reports.EmptyTqdm(*args, **options)
        return before(make, args, options) if before is not None else make(*args, **options)

    before = reports.set_tqdm_hook(bar)


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
            "Use a network whose tokenizer has one, such as SigLIP 2 instead of SigLIP."
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
    kind, config = encoder(config)
    return _reader(build(kind, config))


def encoder(config: Any) -> tuple[Any, Any]:
    """Choose the class that reads texts, and its configuration.

    Of what also has a decoder it is the encoder, by a class of its own where there is one.
    """
    import transformers
    from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

    whole = MODEL_MAPPING_NAMES.get(config.model_type, "")
    alone = f"{str(whole).removesuffix('Model')}EncoderModel"
    if not hasattr(transformers, alone):
        return transformers.AutoModel, config
    config = copy.deepcopy(config)
    config.is_encoder_decoder = False
    return getattr(transformers, alone), config


def is_half(config: Any) -> bool:
    """Tell whether texts are read by an encoder that has no class of its own."""
    return bool(encoder(config)[1].is_encoder_decoder)


def _reader(network: Any) -> nn.Module:
    """Take the encoder out of a network that also has a decoder."""
    return network.get_encoder() if network.config.is_encoder_decoder else network


def build(kind: Any, config: Any) -> nn.Module:
    """Build a network of one of transformers' classes, with the weights of its initialisation."""
    with quietly():
        return kind.from_config(config) if hasattr(kind, "from_config") else kind(config)


def takes(network: nn.Module, name: str) -> bool:
    """Tell whether a network's forward has a parameter of this name."""
    forward: Any = network.forward
    written = getattr(forward, "__func__", None)  # of a class, and not replaced
    return name in (inspect.signature(forward).parameters if written is None else _named(written))


@remembered("parameters of forwards", maxsize=64)
def _named(forward: Any) -> frozenset[str]:
    return frozenset(inspect.signature(forward).parameters)


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
    is_text = kind is None
    if kind is None:
        kind, config = encoder(config)
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
    # A pooler that is missing is left out, and a decoder is not used.
    left_out = ("pooler.", "decoder.") if is_text and config.is_encoder_decoder else ("pooler.",)
    missing = [name for name in report["missing_keys"] if not name.startswith(left_out)]
    if missing:
        raise WeightsError(
            f"The weights in {folder} do not fit the network: {len(missing)} tensors are missing, "
            f"such as {missing[0]!r}."
        )
    if any(name.startswith("pooler.") for name in report["missing_keys"]):
        network.pooler = None  # its weights would be random
    return _reader(network) if is_text else network
