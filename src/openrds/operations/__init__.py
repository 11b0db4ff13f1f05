"""The operations, one a file: its parameters, its steps with their undo, and what its end means."""
