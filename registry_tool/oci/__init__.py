"""Images: layers, image manifests, stores of them. Knows nothing of releases and locks."""
