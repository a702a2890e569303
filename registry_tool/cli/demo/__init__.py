"""The demonstration: the whole flow on a real model, typed as a user would type it."""
