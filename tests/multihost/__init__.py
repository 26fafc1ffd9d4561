"""Tests that need several hosts: network namespaces on this machine, joined by a switch."""
