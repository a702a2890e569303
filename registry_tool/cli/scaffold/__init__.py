"""What `init` and `new` write: commented manifests, the example registry, and a repository's other files."""
