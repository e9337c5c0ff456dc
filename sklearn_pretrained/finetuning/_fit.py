"""An estimator, a trunk and a tail → the tail trained, and what of it is kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..tails import Tail
from ..taps import without_autocast
from ._activations import Activations
from ._heads import affine
from ._held_out import held_out, is_worse
from ._objectives import likeness
from ._training import Course, Settings, Training

Indices = NDArray[np.intp]
_LEAST_PAIRED = 10
"""Steps in an epoch of pairs: few rows make many pairs."""
_SOME = 64


def fit_tail(
    estimator: Any,
    X: Any,
    y: NDArray[Any],
    *,
    weights: NDArray[np.float64],
    groups: NDArray[Any] | None,
    parts: tuple[Any, Tail],
    random: np.random.RandomState,
) -> None:
    """Train, keep the best epoch, and write everything into the estimator."""
    trunk, tail = parts
    activations = Activations(
        trunk,
        X,
        len(y),
        below=estimator._below,
        flip=estimator.augment == "flip",
        shown=estimator.verbose,
    )
    used, y, weights = estimator._learnable(y, weights, activations.usable)
    work = _Work(
        estimator, y, used, weights=weights, activations=activations, tail=tail, random=random
    )
    train, held = held_out(
        work.task.labels,
        used,
        share=estimator.validation_fraction,
        groups=groups,
        random_state=random,
    )
    try:
        course = Course()
        interrupt = work.train(train, held, course)
        work.doubt(course, held)
        estimator.history_, estimator.best_epoch_ = course.history, course.best
        if course.best == 0:
            features = work.features(used)
            estimator.head_ = estimator._fitted_head(features, y[used], weights[used])
            if interrupt is not None:
                raise interrupt
            return
        scores = [record.get("score", np.nan) for record in course.history]
        estimator.improvement_ = scores[course.best] - scores[0]
        if len(held) and interrupt is None:
            interrupt = work.train_again(used, course.best)
        work.keep(trunk)
        if interrupt is not None:
            raise interrupt
    finally:
        activations.close()


class _Work:
    """One fit under way."""

    def __init__(
        self,
        estimator: Any,
        y: NDArray[Any],
        used: Indices,
        *,
        weights: NDArray[np.float64],
        activations: Activations,
        tail: Tail,
        random: np.random.RandomState,
    ) -> None:
        self.estimator, self.y, self.used, self.weights = estimator, y, used, weights
        self.activations, self.tail, self.random = activations, tail, random
        self.task = estimator._task(y, used)
        self.device = next(iter(tail.parameters().values())).device
        self.before = {name: p.detach().clone() for name, p in tail.parameters().items()}
        self.is_contrastive = estimator.objective == "contrastive"
        self.probe: Any = None
        self.training: Training | None = None
        self.hits: list[NDArray[np.bool_] | None] = []

    def features(self, rows: Indices) -> NDArray[np.float32]:
        """Compute features of the network as it is."""
        training = Training(self.tail, self.activations, None, self._settings(), self.random)
        return training.features(rows)

    def _settings(self) -> Settings:
        names = ("epochs", "batch_size", "patience", "learning_rate", "weight_decay")
        given = {name: getattr(self.estimator, name) for name in names}
        return Settings(**given, least_steps=_LEAST_PAIRED if self.is_contrastive else 1)

    def _start(self, rows: Indices) -> Training:
        """Begin with the network as it was pretrained, and a head fitted on its features."""
        self._reset()
        features = self.features(rows)
        self.probe = self.estimator._fitted_head(features, self.y[rows], self.weights[rows])
        head = None if self.is_contrastive else self._linear(features)
        return Training(self.tail, self.activations, head, self._settings(), self.random)

    def _reset(self) -> None:
        with torch.no_grad():
            for name, parameter in self.tail.parameters().items():
                parameter.copy_(self.before[name])

    def doubt(self, course: Course, held: Indices) -> None:
        """Go back to the probe where the best epoch labels clearly fewer rows right than it did."""
        if not self.hits or course.best == 0:
            return
        then, now = self.hits[0], self.hits[course.best]
        if then is not None and now is not None and is_worse(then, now, self.weights[held]):
            course.best = 0
            self._reset()

    def _linear(self, features: NDArray[np.float32]) -> nn.Linear:
        name = repr(self.probe)
        coef, intercept = self.task.scaled(*affine(self.task.decide(self.probe), features, name))
        linear = nn.utils.skip_init(nn.Linear, coef.shape[1], coef.shape[0], device=self.device)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(coef))
            linear.bias.copy_(torch.from_numpy(intercept))
        return linear

    def train(self, rows: Indices, held: Indices, course: Course, **how: Any) -> Any:
        """Train on some rows; return the interrupt that ended it, if one did."""
        self.training = training = self._start(rows)
        judge = (lambda: self._judged(training, rows, held)) if len(held) else None
        step = self._pairs(training, rows) if self.is_contrastive else self._rows(training)
        try:
            training.run(rows, step, judge, course, shown=self.estimator.verbose, **how)
        except KeyboardInterrupt as interrupt:
            return interrupt
        return None

    def train_again(self, rows: Indices, epochs: int) -> Any:
        """Train on all rows, for as many epochs as were best without those held out."""
        first, head = [p.detach().clone() for p in self.tail.parameters().values()], self.training
        interrupt = self.train(rows, rows[:0], Course(), epochs=epochs)
        if interrupt is not None:
            self.training = head
            with torch.no_grad():
                for parameter, then in zip(self.tail.parameters().values(), first, strict=True):
                    parameter.copy_(then)
        return interrupt

    def _rows(self, training: Training) -> Any:
        loss = self.task.loss()
        columns = torch.from_numpy(self.task.columns).to(self.device)
        weights = torch.from_numpy(self._shares()).to(self.device)

        def step(rows: Indices) -> Tensor:
            assert training.head is not None
            which = torch.from_numpy(rows).to(self.device)
            costs = loss(training.head(training.given(self._seen(rows))), columns[which])
            return (costs * weights[which]).mean()

        return step

    def _shares(self) -> NDArray[np.float32]:
        """Give each row's weight as a multiple of the mean of those that are used."""
        return (self.weights / self.weights[self.used].mean()).astype(np.float32)

    def _seen(self, rows: Indices) -> Indices:
        """Choose by chance which view of each row is trained on, where there are two."""
        if self.activations.views == 1:
            return rows
        return rows + len(self.y) * self.random.randint(self.activations.views, size=len(rows))

    def _pairs(self, training: Training, rows: Indices) -> Any:
        """Give each row of a batch a partner: as often alike as not, where labels tell."""
        by_label: dict[Any, Indices] = {}
        if self.task.labels is not None:
            labels = self.task.labels
            by_label = {label: rows[labels[rows] == label] for label in np.unique(labels[rows])}

        def partner(row: int) -> int:
            if not by_label:
                return int(self.random.choice(rows))
            mine = by_label[self.task.labels[row]]
            if self.random.rand() < 0.5:  # noqa: PLR2004
                return int(self.random.choice(mine))
            other = self.random.choice([one for one in by_label if one != self.task.labels[row]])
            return int(self.random.choice(by_label[other]))

        def step(batch: Indices) -> Tensor:
            partners = np.array([partner(row) for row in batch], dtype=np.intp)
            alike = torch.from_numpy(self.task.likeness(batch, partners)).to(self.device)
            found = training.given(self._seen(np.concatenate([batch, partners])))
            weights = torch.from_numpy(self._shares()[batch]).to(alike)
            return (likeness(found[: len(batch)], found[len(batch) :], alike) * weights).mean()

        return step

    def _head_on(self, training: Training, rows: Indices) -> Any:
        features = training.features(rows)
        if not np.isfinite(features).all():
            return None  # training ran away
        return self.estimator._fitted_head(features, self.y[rows], self.weights[rows])

    def _judged(self, training: Training, rows: Indices, held: Indices) -> dict[str, float]:
        """Score the network as it is on the rows held out."""
        features, weights = training.features(held), self.weights[held]
        if training.head is None:
            head = self._head_on(training, rows)
            if head is None or not np.isfinite(features).all():
                self.hits.append(None)
                return {"score": np.nan, "held_out_loss": np.nan}
            decided = head.predict(features)
            self.hits.append(self.task.hits(decided, held))
            found = {"score": self.task.score(decided, held, weights)}
            costs = self.task.unlikeliness(head, features, held)
            if costs is not None:
                found["held_out_loss"] = float(np.average(costs, weights=weights))
            return found
        with torch.inference_mode(), without_autocast():
            scores = training.head(torch.from_numpy(features).to(self.device)).cpu()
            costs = self.task.loss()(scores, torch.from_numpy(self.task.columns[held])).numpy()
        decided = self.task.from_scores(scores.numpy())
        self.hits.append(self.task.hits(decided, held))
        return {
            "score": self.task.score(decided, held, weights),
            "held_out_loss": float(np.average(costs, weights=weights)),
        }

    def keep(self, trunk: Any) -> None:
        """Write what was learned into the estimator."""
        estimator, training = self.estimator, self.training
        assert training is not None
        self._check_finite(training)
        estimator.trunk_, estimator._tail = trunk, self.tail
        estimator.train_from_ = trunk.layer_
        estimator.changed_ = {
            name: parameter.detach().cpu().numpy().copy()
            for name, parameter in self.tail.parameters().items()
            if not torch.equal(parameter.detach(), self.before[name])
        }
        if training.head is None:
            estimator.head_ = self._head_on(training, self.used)
            return
        coef = training.head.weight.detach().cpu().double().numpy()
        intercept = training.head.bias.detach().cpu().double().numpy()
        estimator.head_coef_, estimator.head_intercept_ = self.task.unscaled(coef, intercept)

    def _check_finite(self, training: Training) -> None:
        """Refuse numbers that ran away, of which nothing can be told any more."""
        found: Any = torch.from_numpy(training.features(self.used[:_SOME]))
        if training.head is not None:
            with torch.inference_mode(), without_autocast():
                found = training.head(found.to(self.device))
        if not bool(torch.isfinite(found).all()):
            raise ValueError(
                f"Training ran away: with learning_rate={self.estimator.learning_rate!r}, the "
                "trained network gives NaN or infinity. Pass a lower learning_rate."
            )
