"""Side-by-side benchmarks: `python -m bench`, or `make bench ONLY=indicators SIZE=small`."""
