"""What computes the rows: torch, OpenVINO and ONNX Runtime in turns, each through `transform`.

    python benchmarks/engines.py
    python benchmarks/engines.py --networks resnet50 --count 64

ONNX Runtime is not an engine of this package. Here it takes the place of OpenVINO: the same graph,
the same threads and batches, one session whose runs have one thread each. Networks have random
weights, images random pixels; rows are compared first. "busy" is the same while a process spins on
each of half the cores.
"""

import argparse
import io
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from statistics import median

import numpy as np
import torch
from streams import others

from sklearn_pretrained import PretrainedImageFeaturizer
from sklearn_pretrained.running.openvino import _graph, _runner

ENGINES = ("torch", "openvino", "onnxruntime")
_made = []


class OnnxGraph(_graph.Graph):
    """The graph of ONNX Runtime."""

    def __init__(self, backbone, outputs, batch, *, threads):  # noqa: ARG002  as a graph is made
        import onnxruntime

        self._outputs = list(outputs)
        file = io.BytesIO()
        module = _graph._Flat(backbone, outputs, ())
        names = [f"rows_{i}" for i in range(len(self._outputs))]
        axes = {name: {0: "batch"} for name in ("given", *names)}
        torch.onnx.export(
            module,
            (batch,),
            file,
            input_names=["given"],
            output_names=names,
            dynamic_axes=axes,
            dynamo=False,
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            file.getvalue(), options, providers=["CPUExecutionProvider"]
        )

    def rows(self, batch, outputs):
        """Compute the rows of a batch."""
        found = self._session.run(None, {"given": batch.numpy()})
        return np.concatenate([found[self._outputs.index(output)] for output in outputs], axis=1)


def make(network, engine, count):
    """Prepare a process for one engine; return the rows."""
    warnings.simplefilter("ignore")
    if engine == "onnxruntime":
        _runner.Graph = OnnxGraph
    featurizer = PretrainedImageFeaturizer(
        network, weights=None, cache=None, engine="torch" if engine == "torch" else "openvino"
    )
    X = np.random.default_rng(0).integers(0, 256, (count, 224, 224, 3), np.uint8)
    _made[:] = featurizer.fit(X[:2]), X
    rows = [featurizer.transform(X) for _ in range(3)][-1]
    assert (featurizer.engine_ == "torch") == (engine == "torch"), "it was refused"
    return rows


def seconds():
    """Time one pass."""
    featurizer, X = _made
    started = time.perf_counter()
    featurizer.transform(X)
    return time.perf_counter() - started


def main():
    """Print a line for each network, engine, idle and busy."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", nargs="+", default=["mobilenet_v2", "resnet18"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=128)
    chosen = parser.parse_args()
    for network in chosen.networks:
        ways = {name: ProcessPoolExecutor(1, get_context("spawn")) for name in ENGINES}
        rows = {n: way.submit(make, network, n, chosen.count).result() for n, way in ways.items()}
        for name in ENGINES[1:]:
            assert np.abs(rows[name] - rows["torch"]).max() < 1e-4 * np.abs(rows["torch"]).max()
        for busy in (False, True):
            with others(torch.get_num_threads() // 2 if busy else 0):
                times = [
                    {name: way.submit(seconds).result() for name, way in ways.items()}
                    for _ in range(chosen.rounds)
                ]
            for name in ENGINES:
                beside = "  ".join(
                    f"{median(turn[other] / turn[name] for turn in times):.2f} x {other}"
                    for other in ENGINES[:2]
                )
                rate = chosen.count / median(turn[name] for turn in times)
                print(
                    f"{network:14} {'busy' if busy else 'idle'}  {name:12} {rate:6.1f}/s  {beside}",
                    flush=True,
                )
        for way in ways.values():
            way.shutdown()


if __name__ == "__main__":
    main()
