"""Cross-manifest checks, by topic. Each yields findings; `planning.checking` runs them all."""
