"""Files → a frozen Config, or every Diagnostic."""

from proxy.config.diagnostics import render
from proxy.config.files import find_default, shipped
from proxy.config.loader import load

__all__ = ["find_default", "load", "render", "shipped"]
