"""What several tests use: a PostgreSQL of their own, a running server, a simulated Mac."""
