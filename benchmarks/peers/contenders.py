"""Who takes part: a worker file, its options, what it needs installed, and which tasks it takes."""

from dataclasses import dataclass, field

from tasks import Task

IMAGES = ("arrays", "files")
TEXTS = ("texts",)


@dataclass(frozen=True)
class Contender:
    """One way to get the rows of a task.

    ``requires`` is what its environment has beyond the base one; ``alone`` keeps the base out of
    it. ``most`` is the size of the largest task that it takes, and ``tolerance``
    the largest relative error at which its speed is compared.
    """

    title: str
    worker: str
    kinds: tuple[str, ...]
    packages: tuple[str, ...] = ("torch",)
    options: dict = field(default_factory=dict)
    requires: tuple[str, ...] = ()
    alone: bool = False
    networks: tuple[str, ...] = ()
    most: int = 10_000
    tolerance: float = 1e-4

    def takes(self, task: Task) -> bool:
        """Whether it has this kind of input and this network, and is fast enough for the task."""
        known = not self.networks or task.network in self.networks
        return task.kind in self.kinds and known and task.count <= self.most


_ONNX = ("onnxruntime", "onnx", "onnxscript")
_SENTENCES = ("sentence-transformers", "torch")

CONTENDERS = {
    "ours": Contender("**sklearn-pretrained**", "ours", IMAGES + TEXTS),
    "ours_exact": Contender(
        'sklearn-pretrained, resize="exact"', "ours", ("files",), options={"resize": "exact"}
    ),
    "ours_bfloat16": Contender(
        "sklearn-pretrained, bfloat16",
        "ours",
        IMAGES + TEXTS,
        options={"dtype": "bfloat16"},
        tolerance=1e-1,
    ),
    "ours_openvino": Contender(
        'sklearn-pretrained, engine="openvino"',
        "ours",
        IMAGES,  # texts are computed by PyTorch with this engine too
        packages=("openvino", "torch"),
        requires=("openvino",),
        options={"engine": "openvino"},
    ),
    "naive_1": Contender(
        "PyTorch, one by one", "naive", IMAGES + TEXTS, options={"batch": 1}, most=500
    ),
    "naive_32": Contender(
        "PyTorch, batches of 32", "naive", IMAGES + TEXTS, options={"batch": 32}, most=500
    ),
    "img2vec": Contender(
        "img2vec_pytorch",
        "img2vec",
        IMAGES,
        packages=("img2vec_pytorch", "torch"),
        requires=("img2vec_pytorch",),
        networks=("resnet18", "resnet50"),
    ),
    "thingsvision": Contender(
        "thingsvision",
        "thingsvision",
        IMAGES,
        packages=("thingsvision", "torch"),
        requires=("thingsvision",),
        alone=True,
    ),
    "embetter_images": Contender(
        "embetter TimmEncoder",
        "embetter",
        IMAGES,
        packages=("embetter", "timm", "torch"),
        requires=("embetter[vision,sbert]",),
    ),
    "timm": Contender(
        "timm, batches of 32", "timm", IMAGES, packages=("timm", "torch"), requires=("timm",)
    ),
    "pipeline_images": Contender(
        "transformers pipeline",
        "pipeline",
        IMAGES,
        packages=("transformers", "timm", "torch"),
        requires=("timm",),
    ),
    "onnxruntime": Contender(
        "ONNX Runtime",
        "onnxruntime",
        IMAGES + TEXTS,
        packages=("onnxruntime",),
        requires=_ONNX,
    ),
    "openvino": Contender(
        "OpenVINO", "openvino", IMAGES + TEXTS, packages=("openvino",), requires=("openvino",)
    ),
    "sentence_transformers": Contender(
        "sentence-transformers", "sentence_transformers", TEXTS, packages=_SENTENCES
    ),
    "embetter_texts": Contender(
        "embetter SentenceEncoder",
        "embetter",
        TEXTS,
        packages=("embetter", *_SENTENCES),
        requires=("embetter[vision,sbert]",),
    ),
    "skrub": Contender(
        "skrub TextEncoder", "skrub", TEXTS, packages=("skrub", *_SENTENCES), requires=("skrub",)
    ),
    "pipeline_texts": Contender(
        "transformers pipeline", "pipeline", TEXTS, packages=("transformers", "torch")
    ),
    "fastembed": Contender(
        "fastembed",
        "fastembed",
        TEXTS,
        packages=("fastembed", "onnxruntime"),
        requires=("fastembed",),
    ),
}

MAIN = (*("ours", "ours_openvino", "openvino", "onnxruntime", "naive_32", "sentence_transformers"),)
"""Those that a run has where none are named: the fastest peers and the usual ones."""

NEED_ONNX = {"onnxruntime", "fastembed"}
"""Contenders that read an ONNX file, which the environment of ``onnxruntime`` writes."""

MACHINE = Contender("the machine", "machine", IMAGES + TEXTS)
"""Measures limits in the same alternation."""
