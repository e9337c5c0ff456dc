"""A file → ONNX Runtime's session, with onnxruntime-extensions where its graph asks for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..exceptions import FormatError
from ..process import need

_PURPOSE = "Running an exported pipeline"
_OTHERS = ("Protobuf parsing failed", "No graph was found")
"""What ONNX Runtime says of other files."""
_MISSING = ("com.microsoft.extensions", "ai.onnx.contrib")


def session(path: str, threads: int) -> Any:
    """Open a file.

    Parameters
    ----------
    path : str
    threads : int
        Threads that compute one batch; 0 takes as many as there are cores.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path!r} does not exist, or is not a file.")
    runtime = need("onnxruntime", install="onnxruntime", purpose=_PURPOSE)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # it warns of tokens that may be given in place of strings
    how = {"providers": ["CPUExecutionProvider"]}
    try:
        return runtime.InferenceSession(path, options, **how)
    except Exception as error:
        if not any(domain in str(error) for domain in _MISSING):
            raise _in_words(path, error) from error
    # Files that decode or tokenise say so only when they are opened.
    extensions = need(
        "onnxruntime_extensions",
        install="onnxruntime-extensions",
        purpose="A file that decodes or tokenises",
    )
    options.register_custom_ops_library(extensions.get_library_path())
    try:
        return runtime.InferenceSession(path, options, **how)
    except Exception as error:
        raise _in_words(path, error) from error


def _in_words(path: str, error: Exception) -> Exception:
    """Say why ONNX Runtime did not open a file."""
    said = str(error).partition("\n")[0]
    beside = Path(f"{path}.data")
    if beside.name in said and not beside.exists():
        return FileNotFoundError(
            f"{str(beside)!r} does not exist, and holds the weights of {path!r}. Put both files "
            "into one folder."
        )
    if any(word in said for word in _OTHERS):
        return FormatError(
            f"{path!r} is damaged, or is not an ONNX file. Write it again with export_onnx."
        )
    return FormatError(f"ONNX Runtime cannot open {path!r}: {said} If it is old, upgrade it.")
