"""What can go wrong on a machine."""


class HostError(Exception):
    """The machine did not do what it was asked; the message says what an operator can change."""
