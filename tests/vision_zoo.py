"""Every family of transformers' vision networks against transformers' own processor and outputs.

    python -m tests.vision_zoo            # the table

Tiny networks with random weights, each in a folder with an image processor of its family.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
import transformers
from PIL import Image

from sklearn_pretrained import PretrainedImageFeaturizer
from sklearn_pretrained.backbones.transformers._vision import VisionBackbone
from sklearn_pretrained.running import eager

TOLERANCE = 1e-5
_VIT = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "image_size": 32,
    "patch_size": 8,
}
_TEXT = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 16,
    "bos_token_id": 1,
    "eos_token_id": 39,
    "pad_token_id": 0,
}
_PAIR = {"vision_config": _VIT, "text_config": _TEXT, "projection_dim": 20}
_BLIP = {**_PAIR, "text_config": {**_TEXT, "encoder_hidden_size": 32}, "image_text_hidden_size": 12}
_SWIN = {
    "image_size": 32, "patch_size": 2, "embed_dim": 16, "depths": [1, 2], "num_heads": [2, 4],
    "window_size": 4,
}  # fmt: skip
_STAGES = {"hidden_sizes": [16, 32, 48], "depths": [1, 1, 1], "embedding_size": 16}
_CONVNEXT = {"num_stages": 3, "hidden_sizes": [16, 32, 48], "depths": [1, 2, 1], "image_size": 32}
_SQUARE = {"size": {"height": 32, "width": 32}}
_CROP = {"size": {"shortest_edge": 36}, "crop_size": {"height": 32, "width": 32}}
_LARGE = {"size": {"shortest_edge": 64}, "crop_size": {"height": 64, "width": 64}}
_EDGE = {"size": {"shortest_edge": 32}}
_MOBILEVIT = {
    "image_size": 32, "hidden_sizes": [16, 24, 32], "neck_hidden_sizes": [8, 8, 8, 12, 12, 16, 32],
    "num_attention_heads": 2,
}  # fmt: skip
_PVT = {
    "image_size": 32, "num_encoder_blocks": 4, "hidden_sizes": [16, 16, 32, 32],
    "depths": [1, 1, 1, 1], "num_attention_heads": [1, 1, 2, 2],
}  # fmt: skip
_EFFICIENT = {
    "image_size": 32, "width_coefficient": 0.25, "depth_coefficient": 0.3, "hidden_dim": 320,
}  # fmt: skip

FAMILIES: dict[str, tuple[str, dict, str, dict]] = {
    "ViT": ("ViTModel", _VIT, "ViT", _SQUARE),
    "ViT classifier": ("ViTForImageClassification", _VIT, "ViT", _SQUARE),
    "DeiT": ("DeiTModel", _VIT, "DeiT", {**_CROP, "size": {"height": 36, "width": 36}}),
    "DeiT distilled": ("DeiTForImageClassificationWithTeacher", _VIT, "DeiT", _CROP),
    "BEiT": ("BeitModel", {**_VIT, "use_relative_position_bias": True}, "Beit", _SQUARE),
    "BEiT classifier": ("BeitForImageClassification", _VIT, "Beit", _SQUARE),
    "Data2Vec": ("Data2VecVisionModel", _VIT, "Beit", _SQUARE),
    "DINOv2": ("Dinov2Model", {**_VIT, "image_size": 40}, "Bit", _CROP),
    "DINOv2 classifier": ("Dinov2ForImageClassification", _VIT, "Bit", _CROP),
    "DINOv2 registers": (
        "Dinov2WithRegistersModel", {**_VIT, "num_register_tokens": 3}, "Bit", _CROP,
    ),
    "DINOv3": ("DINOv3ViTModel", {**_VIT, "num_register_tokens": 4}, "DINOv3ViT", _SQUARE),
    "DINOv3 ConvNeXt": (
        "DINOv3ConvNextModel", {"hidden_sizes": [16, 16, 32, 32], "depths": [1, 1, 1, 1]},
        "DINOv3ViT", _SQUARE,
    ),
    "Swin": ("SwinModel", _SWIN, "ViT", _SQUARE),
    "Swin classifier": ("SwinForImageClassification", _SWIN, "ViT", _SQUARE),
    "SwinV2": ("Swinv2Model", _SWIN, "ViT", _SQUARE),
    "ConvNeXt": ("ConvNextModel", _CONVNEXT, "ConvNext", {**_EDGE, "crop_pct": 0.875}),
    "ConvNeXt classifier": ("ConvNextForImageClassification", _CONVNEXT, "ConvNext", _EDGE),
    "ConvNeXtV2": ("ConvNextV2Model", _CONVNEXT, "ConvNext", _EDGE),
    "CLIP": ("CLIPModel", _PAIR, "CLIP", _CROP),
    "CLIP image tower": ("CLIPVisionModel", _VIT, "CLIP", _CROP),
    "CLIP classifier": ("CLIPForImageClassification", _PAIR, "CLIP", _CROP),
    "SigLIP": ("SiglipModel", _PAIR, "Siglip", _SQUARE),
    "BLIP": ("BlipModel", _BLIP, "Blip", _SQUARE),
    "BLIP retrieval": ("BlipForImageTextRetrieval", _BLIP, "Blip", _SQUARE),
    "BLIP captions": ("BlipForConditionalGeneration", _BLIP, "Blip", _SQUARE),
    "ResNet": ("ResNetModel", {**_STAGES, "layer_type": "basic"}, "ConvNext", _EDGE),
    "ResNet classifier": ("ResNetForImageClassification", _STAGES, "ConvNext", _EDGE),
    "RegNet": ("RegNetModel", {**_STAGES, "groups_width": 8}, "ConvNext", _EDGE),
    "EfficientNet": ("EfficientNetModel", _EFFICIENT, "EfficientNet", _SQUARE),
    "EfficientNet classifier": (
        "EfficientNetForImageClassification", _EFFICIENT, "EfficientNet",
        {**_SQUARE, "rescale_offset": True, "rescale_factor": 1 / 127.5},
    ),
    "MobileNetV1": ("MobileNetV1Model", {"depth_multiplier": 0.25}, "MobileNetV1", _CROP),
    "MobileNetV2": ("MobileNetV2Model", {"depth_multiplier": 0.25}, "MobileNetV2", _CROP),
    "MobileViT": ("MobileViTModel", _MOBILEVIT, "MobileViT", _CROP),
    "MobileViT classifier": ("MobileViTForImageClassification", _MOBILEVIT, "MobileViT", _CROP),
    "MobileViTV2": (
        "MobileViTV2Model", {"image_size": 64, "width_multiplier": 0.25}, "MobileViT", _LARGE,
    ),
    "LeViT": (
        "LevitModel",
        {"image_size": 64, "hidden_sizes": [16, 32, 48], "num_attention_heads": [2, 2, 2],
         "depths": [1, 1, 1], "key_dim": [8, 8, 8]},
        "Levit", _LARGE,
    ),
    "CvT": (
        "CvtModel",
        {"embed_dim": [16, 16, 32], "num_heads": [1, 1, 2], "depth": [1, 2, 3]}, "ConvNext", _EDGE,
    ),
    "PVT": ("PvtModel", _PVT, "Pvt", _SQUARE),
    "PVTv2": (
        "PvtV2Model",
        {"image_size": 32, "hidden_sizes": [16, 16, 32, 32], "depths": [1, 1, 1, 1],
         "num_attention_heads": [1, 1, 2, 2]},
        "Pvt", _SQUARE,
    ),
    "BiT": (
        "BitModel",
        {"embedding_size": 32, "hidden_sizes": [32, 64], "depths": [1, 1], "num_groups": 4},
        "Bit", _CROP,
    ),
    "FocalNet": (
        "FocalNetModel", {"image_size": 32, "embed_dim": 16, "depths": [1, 1, 1, 1]}, "Bit", _CROP,
    ),
    "I-JEPA": ("IJepaModel", _VIT, "ViT", _SQUARE),
}  # fmt: skip


def images() -> list[np.ndarray]:
    """Return images of several shapes."""
    seeded = np.random.default_rng(0)
    shapes = [(40, 50), (61, 45), (33, 32), (64, 64), (20, 90)]
    return [
        np.asarray(
            Image.fromarray(seeded.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize(shape[::-1])
        )
        for shape in shapes
    ]


def spread(network: torch.nn.Module, gain: float = 1.0) -> None:
    """Give a network random weights that lie as far apart as trained ones."""
    for name, tensor in network.state_dict().items():
        if name.endswith("running_var"):
            torch.nn.init.uniform_(tensor, 0.5, 2.0)
        elif tensor.is_floating_point() and tensor.ndim < 2:
            torch.nn.init.normal_(tensor, 1.0 if name.endswith("weight") else 0.0, std=0.2)
        elif tensor.is_floating_point():
            torch.nn.init.normal_(tensor, std=gain * tensor[0].numel() ** -0.5)


def make_folder(folder: Path, family: str, gain: float = 1.0) -> Path:
    """Save a tiny network of a family with its image processor."""
    kind, options, processor, settings = FAMILIES[family]
    torch.manual_seed(0)
    network = getattr(transformers, kind)
    network = network(network.config_class(**options)).eval()
    spread(network, gain)
    network.save_pretrained(folder)
    getattr(transformers, f"{processor}ImageProcessor")(**settings).save_pretrained(folder)
    return folder


def reference(folder: Path, family: str) -> dict[str, np.ndarray]:
    """Return transformers' own outputs, by the layer and pooling that should give them."""
    kind = FAMILIES[family][0]
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    network = getattr(transformers, kind).from_pretrained(folder).eval()
    found: list[dict[str, np.ndarray]] = []
    for image in images():
        pixels = processor(Image.fromarray(image), return_tensors="pt")["pixel_values"]
        with torch.no_grad():
            found.append({k: v.numpy() for k, v in _outputs(network, kind, pixels).items()})
    return {name: np.vstack([one[name] for one in found]) for name in found[0]}


def _outputs(network: torch.nn.Module, kind: str, pixels: torch.Tensor) -> dict:
    tower = getattr(network, "vision_model", network) if "Classification" not in kind else network
    out = tower(pixel_values=pixels, output_hidden_states=True)
    found = {}
    if kind in {"CLIPModel", "SiglipModel", "BlipModel"}:
        found["projection:auto"] = network.get_image_features(pixel_values=pixels).pooler_output
    if kind == "BlipForImageTextRetrieval":
        found["projection:auto"] = network.vision_proj(out.last_hidden_state[:, 0])
    if "Classification" in kind:
        read = []
        classifiers = [
            module
            for name, module in network.named_modules()
            if name.rpartition(".")[2] in {"classifier", "cls_classifier"}
        ]
        handle = classifiers[0].register_forward_pre_hook(lambda _m, x: read.append(x[0]))
        network(pixel_values=pixels)
        handle.remove()
        found["output:auto"] = out.logits
        found["penultimate:auto"] = read[0].flatten(1)
    elif kind not in _POOLED_BY_HAND and getattr(out, "pooler_output", None) is not None:
        found["penultimate:auto"] = out.pooler_output.flatten(1)
    else:
        found["penultimate:auto"] = _POOLED_BY_HAND[kind](out)
    for i, state in enumerate(out.hidden_states or ()):
        if isinstance(state, torch.Tensor) and state.ndim == 3 and _has_blocks(network):
            prefix = _prefix(network)
            found[f"{i}:avg"] = state[:, prefix:].mean(1)
            if prefix:
                found[f"{i}:cls"] = state[:, 0]
    return found


_POOLED_BY_HAND = {
    "ViTModel": lambda out: out.last_hidden_state[:, 0],
    "Data2VecVisionModel": lambda out: out.last_hidden_state[:, 0],
    "DeiTModel": lambda out: out.last_hidden_state[:, 0],
    "IJepaModel": lambda out: out.last_hidden_state.mean(1),
    "CvtModel": lambda out: out.last_hidden_state.mean((2, 3)),
    "PvtModel": lambda out: out.last_hidden_state[:, 0],
    "PvtV2Model": lambda out: out.last_hidden_state.mean((2, 3)),
}


def _has_blocks(network: torch.nn.Module) -> bool:
    config = getattr(network.config, "vision_config", network.config)
    return hasattr(config, "patch_size") and not hasattr(config, "depths")


def _prefix(network: torch.nn.Module) -> int:
    kind = type(network).__name__
    if kind.startswith(("Siglip", "IJepa")):
        return 0
    return 1 + kind.startswith("DeiT") + getattr(network.config, "num_register_tokens", 0)


def compare(folder: Path, family: str) -> list[tuple[str, float]]:
    """Return the error of every layer and pooling."""
    expected = reference(folder, family)
    by_pooling: dict[str, list[str]] = {}
    for name in expected:
        by_pooling.setdefault(name.partition(":")[2], []).append(name)
    rows = []
    for pooling, names in by_pooling.items():
        layers = [name.partition(":")[0] for name in names]
        with patch.object(VisionBackbone, "patience", 0):  # made fast at once
            ours = PretrainedImageFeaturizer(
                str(folder), layer=[int(n) if n.isdigit() else n for n in layers], pooling=pooling,
                device="cpu", cache=None, batch_size=3,
            ).fit_transform(images())  # fmt: skip
        widths = [expected[name].shape[1] for name in names]
        assert ours.shape[1] == sum(widths), (ours.shape, dict(zip(names, widths, strict=True)))
        for name, rows_of_layer in zip(
            names, np.split(ours, np.cumsum(widths)[:-1], 1), strict=True
        ):
            right = expected[name]
            gap = np.linalg.norm(rows_of_layer - right, axis=1) / np.linalg.norm(right, axis=1)
            rows.append((name, float(gap.max())))
    eager.unload()
    return rows


def main(chosen: list[str]) -> int:
    """Print the table; the exit status counts the families that differ."""
    wrong = 0
    for family in chosen or FAMILIES:
        with tempfile.TemporaryDirectory() as place:
            try:
                rows = compare(make_folder(Path(place) / "tiny", family), family)
            except Exception as error:
                rows = [(f"{type(error).__name__}: {str(error)[:200]}", float("inf"))]
        worst, at = max((error, name) for name, error in rows)
        wrong += worst > TOLERANCE
        verdict = "equal" if worst <= TOLERANCE else f"DIFFERS at {at}"
        print(f"{family:24} {len(rows):2} outputs  {worst:.1e} {verdict}")
    print(f"{len(chosen or FAMILIES) - wrong} of {len(chosen or FAMILIES)}")
    return wrong


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
