"""The parts of a pipeline → what a file says of itself: classes, columns, provenance, licence."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from ._parts import FINE_TUNED, Part, Source, Step

Facts = dict[str, Any]


def kinds(found: list[Part]) -> list[str]:
    """Name the classes of all parts, in order."""
    estimators = [part.estimator for part in found if isinstance(part, Source | Step)]
    return [type(one).__name__ for i, one in enumerate(estimators) if one not in estimators[:i]]


def classes(last: Part) -> Facts:
    """Say which classes there are, where the last part is a classifier."""
    known = getattr(getattr(last, "estimator", None), "classes_", None)
    if not isinstance(last, Step) or not isinstance(known, np.ndarray):
        return {"classes": None, "classes_dtype": None}
    return {"classes": known.tolist(), "classes_dtype": str(known.dtype)}


def feature_names(pipeline: Any, found: list[Part]) -> list[str] | None:
    """Name the columns of `transform`, where scikit-learn does."""
    pipeline = getattr(pipeline, "best_estimator_", pipeline)
    if isinstance(pipeline, Pipeline) and found[-1].rows is None:
        pipeline = pipeline[:-1]
    try:
        return [str(name) for name in pipeline.get_feature_names_out()]
    except Exception:  # steps that have no names, of which there are some in scikit-learn
        return None


def provenance(found: list[Part]) -> Facts:
    """Say where the rows come from: of each network, where there are several."""
    told = {}
    for part in found:
        if isinstance(part, Source):
            estimator = part.estimator
            facts = getattr(estimator, "featurizer_", estimator).provenance().to_dict()
            if isinstance(estimator, FINE_TUNED):
                facts["trained_from"] = estimator.train_from_
            told[part.name] = facts
    return told.get("network", told)


def licence(found: list[Part]) -> str:
    """Say under whose terms the file comes."""
    sources = [part.estimator for part in found if isinstance(part, Source)]
    models = {getattr(one, "featurizer_", one).model_ for one in sources}
    return (
        f"Holds the weights of {', '.join(sorted(models))}, which stay under the licence of those "
        "who published them."
    )
