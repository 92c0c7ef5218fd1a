"""Benchmarks: `make bench SUITE=name [OUT=file]` prints a table and writes JSON lines."""
