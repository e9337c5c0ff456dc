"""A class, file or module → whose it is: the user's, or a package's, and of which version."""

from __future__ import annotations

import os
import sys
import sysconfig
import types
from importlib import metadata
from pathlib import Path

from ...process import remembered

_STANDARD = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib")})
_OURS = str(Path(__file__).parents[2]) + os.sep  # also where it is not installed
_FOLDERS = tuple(f"{os.sep}{name}{os.sep}" for name in ("site-packages", "dist-packages"))
_WRITTEN_TYPE = 1 << 9  # set in the flags of types other than those that C code defines for good


@remembered("files that come with packages", maxsize=4096)
def is_installed(path: str) -> bool:
    """Tell a file that comes with Python or a package from one that a user may edit."""
    return path.startswith((*_STANDARD, _OURS, "<frozen")) or any(
        folder in path for folder in _FOLDERS
    )


def is_package(module: types.ModuleType) -> bool:
    """Tell whether a module comes with Python or an installed package."""
    path = vars(module).get("__file__")  # a module may make up names that are asked of it
    if isinstance(path, str):
        return is_installed(path)
    return module.__name__ in sys.builtin_module_names


def can_be_written(kind: type) -> bool:
    """Tell a class in which anything can be put from those that C code defines for good."""
    return bool(kind.__flags__ & _WRITTEN_TYPE)


def is_packages_class(kind: type) -> bool:
    """Tell whether a class is the one that a package holds under its name."""
    if not can_be_written(kind):
        return True
    module = sys.modules.get(kind.__module__)
    if module is None or not is_package(module):
        return False
    found: object = module
    for part in kind.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is kind


def is_of_users_extension(value: type | types.BuiltinFunctionType) -> bool:
    """Tell C code of the user's own, which may be compiled anew under the same name."""
    if isinstance(value, type) and can_be_written(value):
        return False
    path = getattr(sys.modules.get(value.__module__ or ""), "__file__", None)
    return isinstance(path, str) and not is_installed(path)


def top(module: str) -> str:
    """Return the package that a module belongs to."""
    return module.partition(".")[0]


@remembered("versions of packages")
def version(package: str) -> str:
    """Return the version of what is imported under a name."""
    stated = getattr(sys.modules.get(package), "__version__", None)
    if isinstance(stated, str):
        return str(stated)
    if package in sys.stdlib_module_names:
        return "of Python"
    names = metadata.packages_distributions().get(package, ())
    return " ".join(f"{name} {metadata.version(name)}" for name in sorted(set(names)))
