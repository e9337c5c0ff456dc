"""The text towers of CLIP, SigLIP and BLIP against transformers' own text features.

    python -m tests.tower_zoo            # the table

Tiny pairs of towers with random weights, each text alone in the reference and all together here.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers

from sklearn_pretrained import PretrainedTextFeaturizer
from sklearn_pretrained.running import eager
from tests import vision_zoo
from tests.text_zoo import TEXTS, save_tokenizer

TOLERANCE = 1e-5
FAMILIES = ("CLIP", "SigLIP", "BLIP", "BLIP retrieval")
_END, _LENGTH = 39, 16


def make_folder(folder: Path, family: str) -> Path:
    """Save a tiny pair of towers with its image processor and its tokenizer."""
    vision_zoo.make_folder(folder, family)
    save_tokenizer(folder, has_class=True, end=_END, length=_LENGTH)
    return folder


def reference(folder: Path, family: str) -> dict[str, np.ndarray]:
    """Return transformers' own outputs, by the layer and pooling that should give them."""
    kind = vision_zoo.FAMILIES[family][0]
    network = getattr(transformers, kind).from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    padding = "max_length" if family == "SigLIP" else False
    found = []
    for text in TEXTS:
        inputs = tokenizer(text, return_tensors="pt", padding=padding)
        inputs = {"input_ids": inputs["input_ids"]}
        with torch.no_grad():
            if family == "BLIP retrieval":
                out = network.text_encoder(**inputs, output_hidden_states=True)
                projected = network.text_proj(out.last_hidden_state[:, 0])
            else:
                out = network.text_model(**inputs, output_hidden_states=True)
                projected = network.get_text_features(**inputs).pooler_output
        one = {f"{i}:mean": state.mean(1) for i, state in enumerate(out.hidden_states)}
        found.append({"projection:auto": projected, **one})
    return {name: np.vstack([one[name].numpy() for one in found]) for name in found[0]}


def compare(folder: Path, family: str) -> list[tuple[str, float]]:
    """Return the error of every layer and pooling."""
    rows = []
    for name, expected in reference(folder, family).items():
        layer, _, pooling = name.partition(":")
        ours = PretrainedTextFeaturizer(
            str(folder), layer=int(layer) if layer.isdigit() else layer, pooling=pooling,
            device="cpu", cache=None, batch_size=3,
        ).fit_transform(TEXTS)  # fmt: skip
        gap = np.linalg.norm(ours - expected, axis=1) / np.linalg.norm(expected, axis=1)
        rows.append((name, float(gap.max())))
    eager.unload()
    return rows


def main() -> int:
    """Print the table; the exit status counts the families that differ."""
    wrong = 0
    for family in FAMILIES:
        with tempfile.TemporaryDirectory() as place:
            rows = compare(make_folder(Path(place) / "tiny", family), family)
        worst, at = max((error, name) for name, error in rows)
        wrong += worst > TOLERANCE
        verdict = "equal" if worst <= TOLERANCE else f"DIFFERS at {at}"
        print(f"{family:16} {len(rows)} outputs  {worst:.1e} {verdict}")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
