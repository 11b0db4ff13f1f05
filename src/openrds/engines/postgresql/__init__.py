"""PostgreSQL, from version 12 on."""
