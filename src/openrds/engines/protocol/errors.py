"""What an engine raises."""


class EngineError(Exception):
    """A server did not do what it was asked; the message names the server and says what it reported."""


class NameTaken(EngineError):  # noqa: N818 - says what happened
    """Something of the new name is there already."""


class NotThere(EngineError):  # noqa: N818 - says what happened
    """There is no database, schema or table of the name."""


class LockedError(EngineError):
    """What was to be changed is held by a client's transaction: trying again at once cannot help."""
