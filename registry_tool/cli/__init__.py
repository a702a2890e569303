"""The command line: thin commands over the other packages, and the one place that puts them together."""
