"""What several operations do the same way, and what they act with."""
