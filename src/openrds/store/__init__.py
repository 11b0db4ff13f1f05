"""The store: PostgreSQL's schema, its migrations, and every SQL statement by name."""
