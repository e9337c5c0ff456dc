"""From a process's start to its first prediction: an exported file beside the pickled pipeline.

    python benchmarks/exported_start.py [python of an environment without torch]

Writes a pipeline over the default network both ways, starts each in processes of their own, and
prints seconds, megabytes, and the median time of one picture afterwards. The first argument is the
python that runs the exported file; torch, scikit-learn and transformers must be missing there, and
its answers are compared with the pipeline's.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

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


def write(folder: Path) -> None:
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


def measured(python: str, opened: str, folder: Path, runs: int = 5) -> list:
    predict = "model.predict_proba([picture])"
    program = MEASURE.format(opened=opened, picture=str(folder / "picture.npy"), predict=predict)
    found = []
    for _ in range(runs):
        began = time.time()
        done = subprocess.run(
            [python, "-c", program], capture_output=True, text=True, check=True, cwd=folder
        )
        told, *rest = json.loads(done.stdout)
        found.append([told - began, *rest])
    return sorted(found, key=lambda one: one[0])[runs // 2]


def main() -> None:
    import numpy as np

    lean = sys.argv[1] if len(sys.argv) > 1 else sys.executable
    present = subprocess.run([lean, "-c", MISSING], capture_output=True, text=True, check=True)
    print(f"in {lean}: of torch, sklearn, transformers there are {present.stdout.strip()}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder)
        exported = measured(lean, EXPORTED.format(path=str(folder / "model.onnx")), folder)
        pickled = measured(
            sys.executable, PICKLED.format(path=str(folder / "model.joblib")), folder, runs=3
        )
    for title, (seconds, peak, median, _, heavy) in (("exported", exported), ("pickled", pickled)):
        print(f"{title:9} first {seconds:.2f} s, {peak:.0f} MB, then {median:.1f} ms; {heavy}")
    farthest = np.abs(np.subtract(exported[3], pickled[3])).max()
    print(f"farthest probability: {farthest:.1e}")
    if exported[4] or farthest > 1e-3:
        sys.exit("the exported file imports what is heavy, or gives other answers")
    if len(sys.argv) > 1 and present.stdout.strip() != "[]":
        sys.exit(f"{lean} has {present.stdout.strip()}")


if __name__ == "__main__":
    main()
