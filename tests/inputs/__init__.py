"""Tests of what turns X into items."""
