"""HTTP: the RDS v3 API and what clients look up beside it. Decodes, authenticates and answers; no rule lives here."""
