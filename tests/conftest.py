"""What all tests have in common."""

from hypothesis import HealthCheck, settings

# On a busy machine an example takes as long as it takes: to be tried, and to be made.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")
