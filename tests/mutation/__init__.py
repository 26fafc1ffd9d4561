"""Mutation testing of the pure packages, by mutmut: how many small changes their tests notice.

python -m tests.mutation                            60 mutants of each package, drawn from the seed
python -m tests.mutation protocol node/trees --count 200 --seed 3
python -m tests.mutation --keep /dev/shm/mutants    does not begin anew if it is run again
"""
