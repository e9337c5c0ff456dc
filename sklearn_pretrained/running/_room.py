"""What fitted so far → how much is tried next."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Room:
    """How many samples fit into memory; None as long as all did.

    After a shortage it halves, and grows again when batches of that size have fitted often enough,
    each time more often.
    """

    most: int | None = None
    _fitted: int = 0
    _enough: int = 4

    def holds(self, n: int) -> bool:
        """Say whether ``n`` fit, as far as is known."""
        return self.most is None or n <= self.most

    def ran_out(self, n: int) -> bool:
        """Learn that ``n`` were too many; tell whether that is news."""
        is_news = self.most is None
        self.most, self._fitted, self._enough = max(1, n // 2), 0, min(4 * self._enough, 1 << 16)
        return is_news

    def fitted(self, n: int) -> None:
        """Learn that ``n`` fitted."""
        if self.most is None or n < self.most:
            return
        self._fitted += 1
        if self._fitted >= self._enough:
            self.most, self._fitted = 2 * self.most, 0
