"""What a type checker knows of a user's script: run through mypy and pyright, never executed."""

from typing import assert_type

import numpy as np
from numpy.typing import NDArray

import sklearn_pretrained as sp

images = ["a.jpg", "b.jpg"]

featurizer = sp.PretrainedImageFeaturizer("resnet18", layer=["layer1", -1], pooling="avg")
assert_type(featurizer.fit(images), sp.PretrainedImageFeaturizer)
assert_type(featurizer.fit(images).transform(images), NDArray[np.float32])
assert_type(featurizer.fit_transform(images), NDArray[np.float32])
assert_type(featurizer.n_features_out_, int)
assert_type(sp.PretrainedTextFeaturizer().fit(["a text"]), sp.PretrainedTextFeaturizer)
assert_type(sp.BertCLSFeaturizer().fit(["a text"]), sp.BertCLSFeaturizer)
assert_type(sp.FineTunedClassifier(featurizer).fit(images, [0, 1]), sp.FineTunedClassifier)
assert_type(sp.embed_weights(featurizer), sp.PretrainedImageFeaturizer)
print(sp.list_layers("resnet18"), sp.list_backbones())
print(sp.rank_features({"resnet18": featurizer}, images, [0, 1]))
print(sp.near_duplicate_groups(featurizer.transform(images)))

sp.PretrainedImageFeaturizer(pooling="middle")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
sp.PretrainedImageFeaturizer(layr="layer1")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
