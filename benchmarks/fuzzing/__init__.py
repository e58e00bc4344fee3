"""The parts of `benchmarks/fuzz.py`: mutators, kinds of input, the runner and the report."""
