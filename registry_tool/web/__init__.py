"""The read-only web index: JSON API, pages, downloads and the embedded store, all over catalogs."""
