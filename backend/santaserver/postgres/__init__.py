"""Access to PostgreSQL: connections, and the classification of its errors."""
