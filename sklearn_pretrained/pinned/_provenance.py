"""What was pinned at fit → a record that prints as the text of a model card."""

from __future__ import annotations

import datetime as dt
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..process import remembered
from ..recipe import RECIPE_VERSION

if TYPE_CHECKING:
    from ..backbones import Backbone

ALWAYS = ("sklearn-pretrained", "scikit-learn", "numpy", "Pillow", "torch")


@remembered("versions of packages")
def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def versions(libraries: tuple[str, ...]) -> dict[str, str]:
    """Return the versions of what makes a row on this machine."""
    named = {name: _version(name) for name in dict.fromkeys((*ALWAYS, *libraries))}
    return {"python": platform.python_version(), **named}


def facts(backbone: Backbone, *, weights: str) -> dict[str, Any]:
    """Write down what decides the rows of a network, as JSON could."""
    where = backbone.weights.describe()
    now = dt.datetime.now(dt.UTC)
    return {
        "date": now.isoformat(timespec="seconds"),
        "model": backbone.name,
        "revision": backbone.revision,
        # Folders of this machine mean nothing on another one.
        "weights": {"sha256": weights, "source": Path(where).name if "://" not in where else where},
        "preprocessing": plain(backbone.facts()),
        "recipe_version": RECIPE_VERSION,
        "versions": versions(backbone.libraries),
    }


def plain(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Bring facts into the form that they have after a way through any file."""
    return json.loads(json.dumps(recipe))


def is_of_this_version(recorded: Mapping[str, Any]) -> bool:
    """Tell whether facts were written by this very version of the package."""
    name = ALWAYS[0]
    return recorded.get("versions", {}).get(name) == _version(name)


def differences(then: Mapping[str, str]) -> str:
    """Say which libraries have other versions than they had."""
    now = {name: platform.python_version() if name == "python" else _version(name) for name in then}
    changed = [f"{name} {then[name]} → {now[name]}" for name in then if then[name] != now[name]]
    if not changed:
        return (
            "All library versions are unchanged, so the hardware or the network itself must differ."
        )
    return f"Library versions that changed: {', '.join(changed)}."


@dataclass(frozen=True)
class Provenance:
    """Everything that determines the rows of a fitted featurizer, as recorded at fit.

    Print it to get text for a model card.

    Parameters
    ----------
    facts : dict
        Estimator, network, revision, weights, layer, pooling, precision, preprocessing, versions
        and date.
    """

    facts: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as dictionaries, lists, strings and numbers.

        Returns
        -------
        dict
            The facts, suitable for JSON.
        """
        return json.loads(json.dumps(self.facts))

    def __repr__(self) -> str:
        """Return the text of a model card: it is what the end of a notebook's cell shows."""
        facts = self.to_dict()
        lines = [f"{facts.pop('estimator')}, fitted {facts.pop('date')}"]
        for name, value in facts.items():
            if isinstance(value, dict):
                lines.append(f"- {name.replace('_', ' ')}:")
                lines += [f"  - {key}: {_shown(part)}" for key, part in value.items()]
            elif value is not None:
                lines.append(f"- {name.replace('_', ' ')}: {_shown(value)}")
        return "\n".join(lines)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_shown(part)}" for key, part in value.items())
    return ", ".join(map(_shown, value)) if isinstance(value, list) else str(value)
