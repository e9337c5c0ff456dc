"""Every network of every source, beside the source's own interface: all tables, and a summary.

    python -m tests.zoos

torchvision's classifiers, timm's families, transformers' networks over images, its text encoders,
text towers, and the tails of all of them. Random weights; about an hour and a half on two cores.
"""

from __future__ import annotations

import sys
import time

from tests import encoder_zoo, tail_zoo, text_zoo, timm_zoo, tower_zoo, vision_zoo, zoo

SOURCES = {
    "torchvision": lambda: zoo.main([]),
    "timm": lambda: timm_zoo.main([]),
    "transformers, images": lambda: vision_zoo.main([]),
    "transformers, texts": text_zoo.main,
    "transformers, all that reads tokens": lambda: encoder_zoo.main([]),
    "transformers, text towers": tower_zoo.main,
    "tails": lambda: tail_zoo.main([]),
}


def main() -> int:
    """Print the tables; the exit status counts the networks that differ without a reason."""
    found = {}
    for source, run in SOURCES.items():
        print(f"== {source}", flush=True)
        started = time.perf_counter()
        found[source] = run(), time.perf_counter() - started
    print("== differ")
    for source, (wrong, seconds) in found.items():
        print(f"{source:28} {wrong:3}  ({seconds:.0f} s)")
    return sum(wrong for wrong, _ in found.values())


if __name__ == "__main__":
    sys.exit(main())
