"""sentence-transformers' encode with its defaults."""

import given
from sentence_transformers import SentenceTransformer


def make(task):
    """Load the folder; a pass is one encode."""
    model = SentenceTransformer(task["folder"], device="cpu")
    texts = given.items(task)
    return lambda: model.encode(texts, show_progress_bar=False)
