"""The edge to PostgreSQL: connections, and what its errors mean."""
