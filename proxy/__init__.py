"""Samewire: one OpenAI-compatible address in front of every AI vendor."""

__version__ = "0.1.0"
