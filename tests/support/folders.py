"""Where the tests keep what they make."""

import tempfile
from pathlib import Path

#: Sockets lie below, and their paths may not have more than 107 characters.
_LONGEST = 30


def short_folder() -> Path:
    """A new folder with a short path, which the user that servers run as can pass through."""
    place = tempfile.gettempdir()
    path = Path(tempfile.mkdtemp(prefix="ords-", dir=place if len(place) <= _LONGEST else "/tmp"))
    path.chmod(0o711)
    return path
