"""Compares larder with its peers. See tools/bench --help and tools/benchmarks/README.md."""

import sys

import command

sys.exit(command.main(sys.argv[1:]))
