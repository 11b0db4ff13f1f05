"""What goes wrong with a backup repository."""


class RepositoryError(Exception):
    """The repository cannot be used, or what is in it is not what was put there; the message says why."""


class NotInRepositoryError(RepositoryError):
    """There is no object of this name."""


class StrangeObjectError(RepositoryError):
    """An object is damaged, is another one's, or was sealed with another key."""
