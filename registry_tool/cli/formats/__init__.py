"""Output formats: pure functions from values to text. Nothing here prints, reads or knows click."""
