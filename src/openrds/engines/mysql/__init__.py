"""MySQL servers."""
