"""Where requests go. Pure decisions: nothing here opens, waits or counts, and whoever asks brings the clock.

router.py     (operation, model) → a route's targets, with their keys
choosing.py   which of them is asked first
policy.py     an error → what it is to routing: its reason, whether anything was worked on, how long to wait
health.py     who is left alone for a while
turns.py      after a failure: whom to ask next, when, and when to give up
"""

from proxy.routing.choosing import Way, first
from proxy.routing.health import Standing, Standings
from proxy.routing.policy import Failure, failure_of
from proxy.routing.router import Choice, Resolution, Router, served_by
from proxy.routing.turns import Asking, Turns

__all__ = [
    "Asking",
    "Choice",
    "Failure",
    "Resolution",
    "Router",
    "Standing",
    "Standings",
    "Turns",
    "Way",
    "failure_of",
    "first",
    "served_by",
]
