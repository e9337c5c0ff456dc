"""A contender and a task → a process that stays, and runs one pass when it is told to."""

import json
import os
import select
import subprocess
from pathlib import Path

from contenders import Contender

HERE = Path(__file__).parent


class WorkerError(RuntimeError):
    """A worker that could not do what it was told."""


class Process:
    """A worker process."""

    def __init__(self, contender: Contender, python: str, threads: int, log: Path) -> None:
        with log.open("w") as errors:
            self.process = subprocess.Popen(
                [python, str(HERE / "worker.py"), contender.worker],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=_environment(threads),
            )

    def ask(self, order: dict, most_seconds: float) -> dict:
        """Send an order and wait for its answer."""
        try:
            self.process.stdin.write(json.dumps(order) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise WorkerError("the process died") from None
        if not select.select([self.process.stdout], [], [], most_seconds)[0]:
            self.process.kill()
            raise WorkerError(f"no answer within {most_seconds:.0f} s")
        line = self.process.stdout.readline()
        if not line:
            raise WorkerError(f"the process died with {self.process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer

    def close(self) -> None:
        """End the process."""
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


def _environment(threads: int) -> dict[str, str]:
    counts = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")
    return {
        **os.environ,
        **dict.fromkeys(counts, str(threads)),
        "CUDA_VISIBLE_DEVICES": "",
        "HF_HUB_OFFLINE": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
