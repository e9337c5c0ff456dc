"""Networks of the user's own: modules, factories, exported programs → backbones."""

from ._module import ModuleBackbone, ModuleHandle

__all__ = ["ModuleBackbone", "ModuleHandle"]
