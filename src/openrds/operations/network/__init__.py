"""Under which addresses and ports an instance is reached."""
