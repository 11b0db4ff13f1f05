"""Values and rules without I/O: what an instance, a task, a name and an error are."""
