"""What Benchmarks/bench.py and Benchmarks/report.py are made of. Python 3 standard library only."""
