"""Tests, named after the stations that they test."""
