"""Where the files of releases live: listing, reading, choosing. The only home of fsspec."""
