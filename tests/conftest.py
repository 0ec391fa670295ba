"""What all tests have in common."""

from hypothesis import settings

# On a busy machine an example takes as long as it takes.
settings.register_profile("busy", deadline=None)
settings.load_profile("busy")
