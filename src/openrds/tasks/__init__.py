"""The task center: accept work, run it step by step, watch over it, and answer what became of it."""
