"""Fuzzing: whatever the bytes, a decoder raises only what it promises, soon, in little memory.

python -m tests.fuzz                              every decoder, 100,000 inputs each
python -m tests.fuzz manifest names --count 1000000 --seed 7
python -m tests.fuzz --list
"""
