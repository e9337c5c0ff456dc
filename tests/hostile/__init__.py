"""Hostile and odd items, what they should give, and a command that tries them."""
