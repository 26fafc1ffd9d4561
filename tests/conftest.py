"""How hypothesis searches. Fixtures live beside the tests that use them."""

import os

import hypothesis

# The same examples on every run, so that a red check was made red by the change at hand.
hypothesis.settings.register_profile("default", max_examples=100, derandomize=True, deadline=None)
# Fewer, for what runs the tests of a function a hundred times (tests.mutation).
hypothesis.settings.register_profile("few", max_examples=20, derandomize=True, deadline=None)
# New ones on each run: for a night, or before a release.
hypothesis.settings.register_profile("deep", max_examples=5000, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
