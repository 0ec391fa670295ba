"""Tests. A package so that `python -m tests.corpus.run` and pytest import the same modules."""
