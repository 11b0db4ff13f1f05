"""What happens to an instance as a whole: it is made, started, stopped, resized, deleted."""
