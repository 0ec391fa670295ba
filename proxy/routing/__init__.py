"""Where requests go. Pure decisions: nothing here opens, waits or counts, and whoever asks brings the clock."""

from proxy.routing.router import Choice, Resolution, Router

__all__ = ["Choice", "Resolution", "Router"]
