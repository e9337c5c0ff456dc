"""A fitted pipeline and one image or text → what each of its places adds to the decision."""

from ._display import ContributionDisplay

__all__ = ["ContributionDisplay"]
