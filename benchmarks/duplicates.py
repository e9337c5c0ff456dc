"""Copies of photographs: how many are found, and how far they raise a cross-validated score.

    python benchmarks/duplicates.py FOLDER [--model NAME] [--layer LAYER] [--picture FILE]

FOLDER holds one folder of photographs for each class, in any depth of other folders, such as
`train/CLASS/*`. A tenth of the photographs is copied: recompressed (JPEG, quality 70), cropped by
5% at a random place and resized, or mirrored, a third each; then all three at once. Prints how many
copies share a group with their original, how many pairs of different photographs share one, and
the accuracy of a nearest neighbour and of a logistic regression with and without groups.
"""

import argparse
import io
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, StratifiedGroupKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from sklearn_pretrained import DuplicatesDisplay, PretrainedImageFeaturizer


def recompressed(photo, _random):
    """Save as JPEG and read again."""
    file = io.BytesIO()
    Image.fromarray(photo).save(file, "JPEG", quality=70)
    return np.asarray(Image.open(file))


def cropped(photo, random):
    """Cut off 5% of each side's length at a random place, and resize."""
    high, wide = photo.shape[:2]
    h, w = round(0.95 * high), round(0.95 * wide)
    top, left = random.integers(high - h + 1), random.integers(wide - w + 1)
    return np.asarray(Image.fromarray(photo[top : top + h, left : left + w]).resize((wide, high)))


def mirrored(photo, _random):
    """Swap left and right."""
    return np.ascontiguousarray(photo[:, ::-1])


ALTERED = (recompressed, cropped, mirrored)


def altered(photos, random, together):
    """Copy each photograph: by one alteration after the other, or by all of them."""
    for i, photo in enumerate(photos):
        copy = photo
        for alter in ALTERED if together else ALTERED[i % 3 :][:1]:
            copy = alter(copy, random)
        yield copy


def main():
    """Print one block for each way of copying."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="mobilenet_v2")
    parser.add_argument("--layer", default="penultimate")
    parser.add_argument("--picture", help="file for the pairs of the second block")
    options = parser.parse_args()
    paths = sorted(p for p in options.folder.rglob("*") if p.suffix.lower() in {".jpg", ".png"})
    photos = [np.asarray(Image.open(p).convert("RGB")) for p in paths]
    y = np.array([p.parent.name for p in paths])
    featurizer = PretrainedImageFeaturizer(options.model, layer=options.layer, augment="flip")
    rows = featurizer.fit_transform(photos)
    for together in (False, True):
        random = np.random.default_rng(0)
        which = random.choice(len(photos), len(photos) // 10, replace=False)
        copies = list(altered([photos[i] for i in which], random, together))
        X, labels = np.vstack([rows, featurizer.transform(copies)]), np.r_[y, y[which]]
        source = np.r_[np.arange(len(photos)), which]
        items = [*photos, *copies]
        display = DuplicatesDisplay.from_features(X, labels, items=items, plot=False)
        groups = display.groups
        same, found = (np.triu(g[:, None] == g, 1) for g in (source, groups))
        print(f"{len(photos)} photographs, {len(which)} copies,", "all" if together else "one each")
        shares = (groups[len(photos) :] == groups[which]).mean(), (found & ~same).sum()
        print(f"  threshold {display.threshold:.4f}: {shares[0]:.1%} of the copies are found")
        different = len(X) * (len(X) - 1) // 2 - same.sum()
        print(f"  pairs of different photographs in one group: {shares[1]} of {different:,}")
        for i, j in np.argwhere(found & ~same):
            print(f"    {paths[source[i]].name}  {paths[source[j]].name}")
        folds = {
            "folds as they fall": (KFold(5, shuffle=True, random_state=0), None),
            "groups on one side": (StratifiedGroupKFold(5, shuffle=True, random_state=0), groups),
            "no copies": (KFold(5, shuffle=True, random_state=0), None),
        }
        for name, (cv, g) in folds.items():
            n = len(photos) if name == "no copies" else len(X)
            told = []
            for head in (KNeighborsClassifier(1), LogisticRegression(max_iter=2000)):
                scores = cross_val_score(head, X[:n], labels[:n], groups=g, cv=cv)
                told.append(f"{scores.mean():.3f}")
            print(f"  {name}: nearest neighbour {told[0]}, logistic regression {told[1]}")
    if options.picture:
        display.plot().figure_.savefig(options.picture)


if __name__ == "__main__":
    main()
