"""What the looking commands put together from desired and recorded state, before it is printed."""
