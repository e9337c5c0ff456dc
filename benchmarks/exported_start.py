"""From a process's start to its first prediction: an exported file beside the pickled pipeline.

    python benchmarks/exported_start.py [python of an environment without torch] [--write]

Writes a pipeline over the default network both ways, starts each in processes of their own, in
turns, and prints seconds, megabytes, and the median time of one picture afterwards, beside the
goals. The first argument is the python that runs the exported file; torch, scikit-learn and
transformers must be missing there, and its answers are compared with the pipeline's. `--write` puts
the table into docs/export.md.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import exported_page

SECONDS, MEGABYTES, SOONER = 0.6, 150, 10
ROUNDS = 5
COLUMNS = ["MobileNetV2, LogisticRegression", "exported", "pickled", "goal", ""]
MEASURE = """
import json, re, statistics, sys, time
import numpy as np
{opened}
picture = np.load({picture!r})
first = {predict}
told = time.time()
times = []
for _ in range(30):
    began = time.perf_counter()
    {predict}
    times.append(time.perf_counter() - began)
peak = int(re.search("VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1]) / 1024
heavy = sorted({{"torch", "sklearn", "transformers"}} & set(sys.modules))
print(json.dumps([told, peak, 1000 * statistics.median(times), first.tolist(), heavy]))
"""
EXPORTED = "from sklearn_pretrained.exported import load; model = load({path!r}, threads=2)"
PICKLED = "import joblib; model = joblib.load({path!r}); model[0].set_params(cache=None)"
MISSING = """
from importlib.util import find_spec
print([name for name in ("torch", "sklearn", "transformers") if find_spec(name)])
"""


def write_files(folder: Path) -> None:
    import joblib
    import numpy as np
    from sklearn.datasets import load_sample_images
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    from sklearn_pretrained import PretrainedImageFeaturizer, export_onnx

    pictures = load_sample_images().images
    X = [one[i : i + 200, i : i + 200] for one in pictures for i in range(0, 200, 25)]
    pipeline = make_pipeline(PretrainedImageFeaturizer(), LogisticRegression())
    pipeline.fit(X, [0] * 8 + [1] * 8)
    export_onnx(pipeline, folder / "model.onnx", examples=X)
    joblib.dump(pipeline, folder / "model.joblib")
    np.save(folder / "picture.npy", X[3])


def measured(python: str, opened: str, folder: Path) -> list:
    """Run one process; return what it printed, with seconds from its start."""
    predict = "model.predict_proba([picture])"
    program = MEASURE.format(opened=opened, picture=str(folder / "picture.npy"), predict=predict)
    began = time.time()
    done = subprocess.run(
        [python, "-c", program], capture_output=True, text=True, check=True, cwd=folder
    )
    told, *rest = json.loads(done.stdout)
    return [told - began, *rest]


def in_turns(lean: str, folder: Path) -> tuple[list[list], list[list]]:
    """Measure both, one after the other, so that a busy machine is one for both."""
    exported, pickled = [], []
    for _ in range(ROUNDS):
        exported.append(measured(lean, EXPORTED.format(path=str(folder / "model.onnx")), folder))
        opened = PICKLED.format(path=str(folder / "model.joblib"))
        pickled.append(measured(sys.executable, opened, folder))
    return exported, pickled


def judged(exported: list[list], pickled: list[list]) -> list[list[str]]:
    """Put the best of each beside the goals: what else the machine does only adds to them."""
    ours, theirs = ([min(one[i] for one in runs) for i in range(3)] for runs in (exported, pickled))
    sooner = theirs[0] / ours[0]
    lines = [
        ("first prediction", ours[0], theirs[0], "{:.2f} s", f"{SECONDS} s", ours[0] <= SECONDS),
        ("that much sooner", sooner, 1.0, "{:.1f} ×", f"{SOONER} ×", sooner >= SOONER),
        ("memory", ours[1], theirs[1], "{:.0f} MB", f"{MEGABYTES} MB", ours[1] <= MEGABYTES),
        ("each image then", ours[2], theirs[2], "{:.1f} ms", "no longer", ours[2] <= theirs[2]),
    ]
    return [
        [name, told.format(mine), told.format(other), goal, "met" if met else "missed"]
        for name, mine, other, told, goal, met in lines
    ]


def main(*arguments: str, write: bool) -> None:
    """Print the table and write it to the page."""
    import numpy as np

    lean = arguments[0] if arguments else sys.executable
    present = subprocess.run([lean, "-c", MISSING], capture_output=True, text=True, check=True)
    print(f"in {lean}: of torch, sklearn, transformers there are {present.stdout.strip()}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_files(folder)
        exported, pickled = in_turns(lean, folder)
    table = exported_page.table(COLUMNS, judged(exported, pickled))
    farthest = np.abs(np.subtract(exported[0][3], pickled[0][3])).max()
    print(table)
    print(f"farthest probability: {farthest:.1e}")
    if exported[0][4] or farthest > 1e-3:
        sys.exit("the exported file imports what is heavy, or gives other answers")
    if arguments and present.stdout.strip() != "[]":
        sys.exit(f"{lean} has {present.stdout.strip()}")
    if write:
        command = "python benchmarks/exported_start.py PYTHON --write"
        told = exported_page.head(command, "onnxruntime", "torch", "scikit-learn")
        exported_page.put(
            "start", f"{table}\n\nThe best of {ROUNDS} processes each, in turns. {told}"
        )


if __name__ == "__main__":
    main(*(word for word in sys.argv[1:] if word != "--write"), write="--write" in sys.argv)
