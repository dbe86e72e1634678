"""Benchmarks by name: their releases, how their questions are asked and how answers are read."""
