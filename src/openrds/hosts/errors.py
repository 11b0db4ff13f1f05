"""What can go wrong on a machine."""


class HostError(Exception):
    """The machine did not do what it was asked; the message says what an operator can change."""


def in_words(error: Exception) -> str:
    """What an error says, and for one of the operating system of which file it says it."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}."
    return str(error)
