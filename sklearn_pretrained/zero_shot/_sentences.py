"""Templates, classes and their names → the sentences that stand for the classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

IMAGES = "This is a photo of {}."
TEXTS = "This text is about {}."


def sentences(
    templates: str | Sequence[str],
    classes: Sequence[Any],
    class_names: Mapping[Any, str],
    *,
    sees_images: bool,
) -> list[str]:
    """Put each class into each template, all templates of a class one after the other."""
    chosen = [templates] if isinstance(templates, str) else list(templates)
    if chosen == ["auto"]:
        chosen = [IMAGES if sees_images else TEXTS]
    wrong = [one for one in chosen if not isinstance(one, str) or "{}" not in one]
    if wrong or not chosen:
        raise ValueError(
            f"templates must be sentences with {{}} in the place of the class, got {chosen}."
        )
    # Names of classes that are not here are fine, as in a fold that lacks one.
    nameless = [one for one in classes if one not in class_names]
    others = [one for one in class_names if one not in classes]
    if nameless and others:
        raise ValueError(
            f"class_names names {others[0]!r}, which is not a class, and has no name for the class "
            f"{nameless[0]!r}. Its keys must be the labels themselves, of the same type."
        )
    names = [str(class_names.get(label, label)) for label in classes]
    return [one.replace("{}", name) for name in names for one in chosen]
