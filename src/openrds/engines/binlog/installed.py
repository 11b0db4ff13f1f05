"""Where what belongs to a server is, in the tree that its program is in."""

from pathlib import Path

from openrds.engines.protocol import EngineError, Installation

_PROGRAM_FOLDERS = ("bin", "sbin", "libexec", "scripts")
_MESSAGES = "english/errmsg.sys"
_SHARE_FOLDERS = ("share/mysql", "share/mariadb", "share")
_PLUGIN_FOLDERS = ("lib/mysql/plugin", "lib64/mysql/plugin", "lib/plugin", "lib64/plugin", "lib/*/*/plugin")


def base_of(installation: Installation) -> Path:
    """The tree: what its documentation calls `basedir`."""
    return installation.bin_dir.parent


def find_program(installation: Installation, *names: str) -> Path | None:
    """The first of these programs that the tree has, beside the server or where clients' programs are."""
    base = base_of(installation)
    places = (installation.bin_dir, *(base / folder for folder in _PROGRAM_FOLDERS))
    return next((place / name for name in names for place in places if (place / name).is_file()), None)


def program(installation: Installation, *names: str) -> Path:
    """
    Raises:
        EngineError: the tree has none of them.
    """
    found = find_program(installation, *names)
    if found is None:
        raise EngineError(
            f"this host has no {names[0]} for {installation.engine} {installation.version}: "
            "install it beside the server"
        )
    return found


def tree_settings(installation: Installation) -> dict[str, str]:
    """What is compiled in of where things are holds only where the tree is at its usual place."""
    base = base_of(installation)
    settings = {"basedir": str(base)}
    for folder in _SHARE_FOLDERS:
        if (base / folder / _MESSAGES).is_file():
            settings["lc_messages_dir"] = str(base / folder)
            settings["character_sets_dir"] = str(base / folder / "charsets")
            break
    plugins = next((found for pattern in _PLUGIN_FOLDERS for found in base.glob(pattern)), None)
    return settings if plugins is None else {**settings, "plugin_dir": str(plugins)}
