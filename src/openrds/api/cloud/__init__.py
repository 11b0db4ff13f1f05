"""What clients look up beside RDS: identity, networks, public addresses."""
