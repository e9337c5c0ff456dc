"""Rows → nowhere: the store of ``cache=None``, which knows nothing and makes nobody wait."""

from __future__ import annotations

from collections.abc import Sequence

from ..recipe import Bundle
from ._store import Patience, Rows


class NoStore:
    """Keeps nothing; as a claim, it gives whoever asks all that he asks for."""

    def bundles(self, recipe: str) -> list[Bundle]:  # noqa: ARG002
        """List no bundles."""
        return []

    def get(self, bundle: Bundle, digests: Sequence[bytes]) -> list[Rows | None]:  # noqa: ARG002
        """Return None for each row."""
        return [None] * len(digests)

    def put(self, bundle: Bundle, digests: Sequence[bytes], rows: Rows) -> None:
        """Let rows go."""

    def claim(self, wanted: Bundle, keep: Bundle, *, is_warm: bool) -> NoStore:  # noqa: ARG002
        """Give a claim that hinders nobody."""
        return self

    def take(self, missing: Sequence[bytes], start: int, most: int) -> tuple[list[bytes], int]:  # noqa: ARG002
        """Give all that is missing."""
        return list(missing[start:]), len(missing)

    def keep(self, digests: Sequence[bytes], rows: Rows) -> None:
        """Let rows go."""

    def release(self) -> None:
        """Give up nothing."""

    def wait(self, wanted: Bundle, missing: Sequence[bytes], patience: Patience) -> None:
        """Wait for nobody."""

    def count(self, **more: int) -> None:
        """Count nothing."""

    def recall(self, recipe: str, name: str) -> None:
        """Know no facts."""

    def remember(self, recipe: str, name: str, value: bytes) -> bytes:  # noqa: ARG002
        """Return the fact, and forget it."""
        return value
