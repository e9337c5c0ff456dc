"""What docs/architecture.md says about the code, compared with the code."""

from __future__ import annotations

import re
import sys
import threading
from pathlib import Path

import numpy as np

import sklearn_pretrained
from sklearn_pretrained import PretrainedImageFeaturizer

PACKAGE = Path(sklearn_pretrained.__file__).parent
PAGE = (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")


def files_entered(call) -> list[str]:
    """Return the package's files each time that a call enters them, in any thread."""
    entered: list[str] = []

    def note(frame, event, _):
        path = Path(frame.f_code.co_filename)
        if event == "call" and PACKAGE in path.parents:
            entered.append(path.relative_to(PACKAGE).as_posix())

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return entered


def test_an_image_takes_the_way_that_the_page_names():
    """At most ten files, all of which a transform enters, from the inputs on in this order."""
    named = re.findall(r"^\d+\. `([a-z_/]+\.py)`", PAGE, re.MULTILINE)
    first, image = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    featurizer = PretrainedImageFeaturizer(image_size=64, layer="features.3", cache="memory")
    featurizer.fit_transform([first])

    entered = files_entered(lambda: featurizer.transform([image]))

    assert len(named) <= 10
    assert set(named) <= set(entered)
    way = [name for name in named if name.startswith(("cache", "running/_engine", "backbones"))]
    onwards = entered[entered.index("inputs/_images.py") :]
    assert way == sorted(way, key=onwards.index)


def test_every_module_of_the_page_exists():
    """A module that moved leaves no trace of its old name."""
    rows = re.findall(r"^\| (`[^|]+`) \|", PAGE, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(_?[a-z_/]+)`", row)}

    assert named
    assert [
        n for n in named if not any((PACKAGE / f"{n}{end}").exists() for end in ("", ".py"))
    ] == []


def test_every_format_has_its_way_to_be_raised():
    """The page names each module that holds a format number, and no other."""
    section = PAGE.partition("## Raise a format")[2].partition("\n## ")[0]
    named = set(re.findall(r"^\| [^|]+ \| `([a-z_/]+)` \|", section, re.MULTILINE))
    holders = {
        path.relative_to(PACKAGE).with_suffix("").as_posix()
        for path in PACKAGE.rglob("*.py")
        if re.search(r"^FORMAT = \d+$", path.read_text(), re.MULTILINE)
    }

    assert named == holders
