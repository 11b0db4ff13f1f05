"""What a database does: one package an engine, each passing the same conformance suite."""
