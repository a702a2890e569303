"""The pages: HTML over the same catalogs as the API."""
