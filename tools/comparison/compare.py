"""Compares larder's caching with its peers'. See tools/compare --help and tools/comparison/README.md."""

import sys
from pathlib import Path

# Peers are installed and started as in the benchmark.
sys.path.append(str(Path(__file__).resolve().parents[1] / "benchmarks"))

import command  # noqa: E402

sys.exit(command.main(sys.argv[1:]))
