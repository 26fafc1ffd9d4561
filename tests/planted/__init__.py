"""Proof that the tests bite: plants one fault at a time in a copy of the code, and runs its tests.

python -m tests.planted              all of them; the exit code is 1 if one survives
python -m tests.planted digest tag   those whose names contain one of these words
python -m tests.planted --list
"""
