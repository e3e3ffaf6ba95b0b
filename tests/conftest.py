"""What all tests share."""

from hypothesis import settings

# Hypothesis fails an example that takes longer than 200 ms, which says more of the machine's load than of the code; a
# test that hangs is ended by pytest-timeout.
settings.register_profile("focalpoint", deadline=None)
settings.load_profile("focalpoint")
