"""The command line: `serve` and `down` run a service, everything else is a client of the v3 API."""
