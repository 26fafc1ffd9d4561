"""Fuzzing: whatever bytes a decoder is given, it raises only what it says, quickly, in little memory.

python -m tests.fuzz                              every decoder, 100,000 inputs each
python -m tests.fuzz manifest names --count 1000000 --seed 7
python -m tests.fuzz --list
"""
