"""Whether this worker can do its work: asked by santa-proxy and by orchestrators."""
