"""A file → ONNX Runtime's session, with onnxruntime-extensions where its graph asks for them."""

from __future__ import annotations

from typing import Any

from .._optional import need

_PURPOSE = "Running an exported pipeline"
_MISSING = ("com.microsoft.extensions", "ai.onnx.contrib")


def session(path: str, threads: int) -> Any:
    """Open a file.

    Parameters
    ----------
    path : str
    threads : int
        Threads that compute one batch; 0 takes as many as there are cores.
    """
    runtime = need("onnxruntime", install="onnxruntime", purpose=_PURPOSE)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # it warns of tokens that may be given in place of strings
    how = {"providers": ["CPUExecutionProvider"]}
    try:
        return runtime.InferenceSession(path, options, **how)
    except Exception as error:
        if not any(domain in str(error) for domain in _MISSING):
            raise
    # Files that decode or tokenise say so only when they are opened.
    extensions = need(
        "onnxruntime_extensions",
        install="onnxruntime-extensions",
        purpose="A file that decodes or tokenises",
    )
    options.register_custom_ops_library(extensions.get_library_path())
    return runtime.InferenceSession(path, options, **how)
