"""Disks that fail and power that is lost, under real processes.

python -m tests.disk_faults               each call fails once, and power is lost at each change
python -m tests.disk_faults fetch forget  only in scenarios whose names contain one of these words
python -m tests.disk_faults --list
"""
