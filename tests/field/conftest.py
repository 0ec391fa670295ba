"""What broke in other gateways, as users reported it: each symptom with what must happen instead."""

from tests.stage.fixtures import play

__all__ = ["play"]
