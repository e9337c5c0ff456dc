"""A transformers text encoder → a backbone: tokenised once, sorted by length, padded little."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...exceptions import BadItemError, LayerError
from .._backbone import Sequences, Weights
from .._skeleton import Weightless, random_network
from .._weights import RandomWeights
from .._windows import Windows
from . import _loading as _transformers
from . import _sentence_modules
from ._folders import KNOWN_DIGESTS, FolderWeights, find_folder, folder_digest
from ._positions import find_length, refuse_short
from ._prompted import PromptedTexts
from ._seen_folder import OfFolder
from ._sentence_folders import sentence_folder
from ._token_batches import Tokens, padded
from ._tokenizer import Piece, Text, TextTokenizer, text_tokenizer
from ._windowed import WHOLE, WindowedTexts, n_tokens

_DECODER = re.compile("CausalLM|LMHeadModel")


class TextBackbone(OfFolder):
    """A text encoder of transformers, or a decoder read as one.

    Parameters
    ----------
    model : str
        Name on the hub, or a local folder.
    weights : str or None
        Revision on the hub, "default", or None for random weights.
    max_length : int or None
        Tokens that are read of each text.
    truncation : {"warn", "cut", "error", "windows"}
        What becomes of longer texts.
    stride : int or None
        Tokens that neighbouring windows share; None for a quarter of the room in a window.
    prompt : str or None
        Name of one of the encoder's prompts, or the text that is put before every text.
    """

    libraries = ("transformers", "tokenizers", "safetensors")
    growth = 2
    has_head = False
    names_hidden_states = True
    window = first_window = portion = 1024  # sorted by length, and tokenised in no time
    patience = 2  # a text alone has no padding
    poolings = ("cls", "mean", "max", "last")
    also_kept = ("pooler",)

    def __init__(
        self,
        model: str,
        *,
        weights: str | None = "default",
        max_length: int | None = None,
        truncation: str = "warn",
        stride: int | None = None,
        prompt: str | None = None,
    ) -> None:
        revision = weights if weights not in {None, "default"} else None
        self.folder = find_folder(model, revision)
        self.version = folder_digest(self.folder)
        self.config = self._configuration()
        self.sentence = sentence_folder(self.folder, model)
        is_local = self.folder == Path(model).expanduser().absolute()
        self.name = self.folder.name if is_local else model
        # The hub's cache keeps each commit in a folder of its name.
        is_commit = self.folder.parent.name == "snapshots"
        self.revision = self.folder.name if is_commit else revision
        self.weights: Weights = (
            RandomWeights(self)
            if weights is None
            else FolderWeights(
                self.folder,
                "" if is_local or revision else KNOWN_DIGESTS.get(model, ""),
                self.trained_files,
            )
        )
        self.truncation = truncation
        self.prompt = self._find_prompt(prompt)
        self.max_length = find_length(self, max_length)
        self.stride = 0
        if truncation == "windows":
            self.stride = self.windowed(0).find_stride(stride)
            # All tokens of all texts that are prepared together lie in memory.
            self.window = self.first_window = self.portion = 128

    def _configuration(self) -> Any:
        return _transformers.config(self.folder, self.version)

    @property
    def tokenizer(self) -> Any:
        """The encoder's own tokenizer, for facts about it."""
        return _transformers.tokenizer(self.folder, self.version)

    @property
    def trained_files(self) -> tuple[Path, ...]:
        """The weights of what its folder puts behind the pooling."""
        steps = _sentence_modules.trained(self.sentence.steps)
        return tuple(_sentence_modules.weights_file(self.folder, step) for step in steps)

    @property
    def _texts(self) -> TextTokenizer:
        """What turns texts into tokens."""
        return text_tokenizer(self.folder, self.version, self.max_length, self.sentence.lowers)

    @property
    def _prompted(self) -> PromptedTexts:
        """What turns texts into samples that are no longer than the network reads."""
        settings = f"{self.version}:{self.sentence.lowers}"
        return PromptedTexts(self._texts, settings, self.prompt, self.truncation)

    def windowed(self, stride: int) -> WindowedTexts:
        """Return what turns texts into samples, and long ones into windows."""
        tokenizer = text_tokenizer(self.folder, self.version, WHOLE, self.sentence.lowers)
        return WindowedTexts(tokenizer, self.max_length, stride, self.prompt)

    @property
    def is_decoder(self) -> bool:
        """Whether each token sees only those before it, so that the last one knows most."""
        return any(_DECODER.search(name) for name in self.config.architectures or [])

    @property
    def first_token_is_class(self) -> bool:  # type: ignore[override]
        """Whether every text begins with a token that stands for the whole."""
        cls = self.tokenizer.cls_token_id
        first = self._texts.read(["a"])[0]
        return isinstance(first, tuple) and first[0]["input_ids"][0] == cls

    @property
    def pooling(self) -> str:
        """What pooling="auto" means: the folder's own word, else mean, or last of a decoder."""
        sentence = self.sentence
        width = getattr(self.config, "hidden_size", None)
        misfit = sentence.misfit(width) if width else ""
        refused = sentence.refused or misfit or self._odd_prompt()
        if refused:
            raise LayerError(
                f"pooling='auto' cannot be used for {self.name}: {refused}. Choose a pooling, such "
                "as pooling='mean', to use the encoder alone."
            )
        if not sentence.modes:
            return "last" if self.is_decoder else "mean"
        if _transformers.is_half(self.config):
            raise LayerError(
                f"pooling='auto' is ambiguous for {self.name}, which also has a decoder: only its "
                "encoder is used here, but sentence-transformers uses the decoder of some such "
                "networks. Choose a pooling, such as pooling='mean'."
            )
        # sentence-transformers takes the first token for the class token, whatever it is.
        first = "cls" if self.first_token_is_class else "first"
        modes = ",".join(first if mode == "cls" else mode for mode in sentence.modes)
        skip = self._prompt_tokens() if sentence.skips_prompt else 0
        steps = "".join(f"+{step.kind}{step.size or ''}" for step in sentence.steps)
        return modes + (f"[{skip}:]" if skip else "") + steps

    def _odd_prompt(self) -> str:
        """Say which special token a prompt spells, since no text is read as one here."""
        known = self.tokenizer.added_tokens_decoder.values()
        spelt = [token.content for token in known if token.special and token.content in self.prompt]
        return f"the prompt {self.prompt!r} has the special token {spelt[0]!r}" if spelt else ""

    def _prompt_tokens(self) -> int:
        """Count the tokens at the start of each text that are its prompt's, and special ones."""
        read = self._texts.read([self.prompt])[0]
        if not self.prompt or isinstance(read, BadItemError):
            return 0
        tokens = read[0]["input_ids"]
        return len(tokens) - (tokens[-1] in self.tokenizer.all_special_ids)

    def _find_prompt(self, prompt: str | None) -> str:
        if prompt is None:
            return self.sentence.default_prompt
        return dict(self.sentence.prompts).get(prompt, prompt)

    @property
    def architecture(self) -> str:
        """The configuration, which decides every layer."""
        return f"{self.name}:{self.config.to_json_string()}:{self.sentence.steps}"

    def recipe(self) -> dict[str, Any]:
        """Return name, configuration, tokenizer and length."""
        facts: dict[str, Any] = {
            "network": "transformers",
            "folder": self.version,
            "max_length": self.max_length,
            "prompt": self.prompt,
        }
        own = self.sentence.facts()
        if own:
            facts["sentence"] = own
        if self.truncation == "error":  # texts that were cut are no rows then, known or not
            facts["truncation"] = "error"
        if self.truncation == "windows":
            facts |= {"truncation": "windows", "stride": self.stride}
        return facts

    def skeleton(self, *, grown: bool) -> nn.Module:  # noqa: ARG002
        """Build the encoder on the meta device."""
        with Weightless():
            return self.empty().eval().to("meta")

    def rehearse(self, network: nn.Module, batch: int, *, grown: bool) -> Any:
        """Run a skeleton over tokens that mean nothing, and let it name its hidden states."""
        tokens = meaningless(batch, grown=grown)
        return self.call(network, {**tokens, "output_hidden_states": True})

    def hidden_states(self, output: Any) -> Sequence[Tensor]:
        """Take what transformers calls hidden states; the last is what the network returns."""
        return getattr(output, "hidden_states", None) or ()

    def random(self) -> nn.Module:
        """Build the encoder with the random weights that a seed decides."""
        return random_network(self.empty)

    def empty(self) -> nn.Module:
        """Build the encoder, its weights whatever they are."""
        return _transformers.empty(self.config)

    def build(self) -> nn.Module:
        """Load the encoder from its folder; nothing else is read, and no code is run."""
        if isinstance(self.weights, RandomWeights):
            return self.random()
        self.weights.digest()
        return _transformers.load(self.folder, self.config)

    def build_trained(self) -> list[nn.Module]:
        """Load what the folder puts behind the pooling."""
        if isinstance(self.weights, RandomWeights):
            return _sentence_modules.random(self.sentence.steps)
        return _sentence_modules.load(self.folder, self.sentence.steps)

    def example(self) -> list[Any] | None:
        """Return two texts, which take the way of all others."""
        found = self._texts.read(["a text", "another text, not of the same length"])
        samples = [one[0] for one in found if not isinstance(one, BadItemError)]
        return samples if len(samples) == len(found) else None

    def prepare(self, contents: Sequence[Any]) -> list[Any]:
        """Turn texts into tokens; a text that cannot be read comes back as its error."""
        is_windowed = self.truncation == "windows"
        reader: WindowedTexts | PromptedTexts
        reader = self.windowed(self.stride) if is_windowed else self._prompted
        return refuse_short(reader.prepare(contents), self.config)

    def pieces(self, text: Text) -> list[Piece]:
        """Return what each token of a text stands for, in order."""
        return self._prompted.pieces(text)

    def count_cut(self, texts: Iterable[tuple[bytes, Text]]) -> int:
        """Count the texts that are cut, given by digest and content, whether read here or not."""
        return self._prompted.count_cut(texts)

    def lengths(self, samples: Sequence[Tokens | Windows]) -> list[int]:
        """Count each text's tokens, those of all its windows."""
        return [*map(n_tokens, samples)]

    def collate(
        self,
        samples: Sequence[Tokens],
        device: Any,
        dtype: torch.dtype,  # noqa: ARG002
    ) -> dict[str, Tensor]:
        """Pad tokens on the right."""
        batch = padded(samples, self.tokenizer.pad_token_id or 0)
        return {name: tensor.to(device) for name, tensor in batch.items()}

    def sequences(self) -> Sequences | None:
        """Describe the tokens; a decoder's attention is left as it is."""
        padding = self.tokenizer.pad_token_id or 0
        config = None if self.is_decoder else self.config
        words = getattr(self.config, "vocab_size", None) or len(self.tokenizer)
        return Sequences(words, padding, config)

    def call(self, network: nn.Module, batch: dict[str, Any]) -> Any:
        """Run the encoder; no text goes on, so nothing is kept for its next token."""
        keeps = _transformers.takes(network, "use_cache")
        return network(**batch, **({"use_cache": False} if keeps else {}))

    def mask(self, batch: dict[str, Tensor]) -> Tensor:
        """Return which tokens are real."""
        return batch["attention_mask"]


def meaningless(batch: int, *, grown: bool) -> dict[str, Tensor]:
    """Make tokens for a skeleton."""
    ids = torch.zeros(batch, 16 if grown else 8, dtype=torch.long, device="meta")
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
