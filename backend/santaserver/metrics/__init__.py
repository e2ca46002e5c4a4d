"""`GET /metrics` of a worker, and the page that documents its names."""
