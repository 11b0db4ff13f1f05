"""Who calls, and how much they may ask for: signatures, tokens, lock-outs and rates."""
