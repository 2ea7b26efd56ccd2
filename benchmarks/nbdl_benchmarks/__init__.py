"""Timings of nbdl beside the libraries that people use, on the same work, in the same minutes."""
