"""Whether this worker can serve: queried by santa-proxy and by orchestrators."""
