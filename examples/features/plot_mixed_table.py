"""
A table of images, texts and numbers
====================================

In a `ColumnTransformer`, each column of images or texts has its own featurizer. In this example, no
single column is sufficient: the photograph tells which team a message is for, and the text whether
it is spam.
"""

# %%
# Messages with a photograph
# --------------------------
# Each row has the text of a real e-mail, a small photograph and the hour of arrival. Messages are
# for the team for brick, grass or gravel, unless they are spam.

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from skimage import data
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_pretrained import PretrainedImageFeaturizer, PretrainedTextFeaturizer

try:
    here = Path(__file__).parent.parent
except NameError:  # in the documentation's gallery
    here = Path.cwd().parent
lines = (here / "data" / "emails.jsonl").read_text().splitlines()[::2]
emails = [json.loads(line) for line in lines]
random = np.random.default_rng(0)
teams = random.choice(["brick", "grass", "gravel"], len(emails))


def photo(name):
    """Cut a small patch out of a photograph."""
    i, j = random.integers(0, 480, 2)
    return getattr(data, name)()[i : i + 32, j : j + 32]


table = pd.DataFrame(
    {
        "photo": [photo(team) for team in teams],
        "message": [email["text"] for email in emails],
        "hour": random.uniform(0, 24, len(emails)),
    }
)
y = np.where([email["label"] == "spam" for email in emails], "spam", teams)

# %%
# Each column, and all of them
# ----------------------------

columns = {
    "hour": (StandardScaler(), ["hour"]),
    "message": (PretrainedTextFeaturizer(max_length=48, truncation="cut"), "message"),
    "photo": (PretrainedImageFeaturizer(image_size=64), "photo"),
}
tried = {name: [column] for name, column in columns.items()}
tried["all three"] = list(columns.values())
scores = {}
for name, chosen in tried.items():
    pipeline = make_pipeline(
        make_column_transformer(*chosen),
        StandardScaler(),
        LogisticRegression(C=0.01, max_iter=1000),
    )
    scores[name] = cross_val_score(pipeline, table, y, cv=5)
    print(f"{name:10} {scores[name].mean():.3f} ± {scores[name].std():.3f}")

# %%
# Comparison
# ----------
# Rows are cached, so the last score did not run a network.

_, ax = plt.subplots(layout="constrained")
means, stds = zip(*((s.mean(), s.std()) for s in scores.values()), strict=True)
bars = ax.barh(list(scores), means, xerr=stds, color=["#0072B2"] * 3 + ["#D55E00"], capsize=4)
ax.bar_label(bars, [f"{mean:.2f}" for mean in means], label_type="center", color="white")
ax.set(xlabel="cross-validated accuracy", xlim=(0, 1))
plt.show()
