"""Reconciling: the steps from a commit to a recorded result, over interfaces that the command line puts in."""
