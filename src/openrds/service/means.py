"""Which of the ways of doing something this host uses: the one that a setting demands, or the best that works."""

import logging

from openrds.domain.settings import Settings
from openrds.hosts.cgroups import find_cgroups
from openrds.hosts.errors import HostError
from openrds.hosts.forwarders import choose_filter, choose_forwarder
from openrds.hosts.images import ImageVolumes, try_images
from openrds.hosts.limits import Limits, NoLimits
from openrds.hosts.users import ServerUsers
from openrds.hosts.volumes import FolderVolumes, Volumes
from openrds.repository.place import Place

logger = logging.getLogger(__name__)


def choose_users(settings: Settings) -> ServerUsers:
    """
    Raises:
        HostError: those that the settings name are not to be had.
    """
    return ServerUsers.choose(settings.data_dir, settings.os_user, settings.os_uids)


def check_means(settings: Settings, users: ServerUsers) -> None:
    """Once in a start; what a host does without is told, and the details at the level DEBUG.

    Raises:
        HostError: a setting demands what does not work here.
    """
    choose_volumes(settings)
    if isinstance(choose_limits(settings), NoLimits) and settings.limits == "auto":
        logger.info(
            "instances may use more CPU and memory than their flavors have: openrds may make no control groups here"
        )
    forwarder = choose_forwarder(settings.forwarding, settings.data_dir, users.forwarder)
    if refusal := choose_filter(forwarder, settings.data_dir).refusal:
        logger.info("security groups are kept, but keep nobody out: %s", refusal)


def choose_volumes(settings: Settings) -> Volumes:
    """Images that are there are served whatever the setting says.

    Raises:
        HostError: the setting demands what does not work here.
    """
    folders = FolderVolumes(settings.nodes_dir)
    images = settings.images_dir
    if settings.volumes == "folder":
        return ImageVolumes(images, folders, makes_images=False) if images.is_dir() else folders
    try:
        try_images(images)
    except HostError as error:
        if settings.volumes == "xfs":
            raise HostError(f"The setting volumes = xfs cannot be kept here: {error}") from None
        logger.debug("volumes are folders: %s", error)
        return ImageVolumes(images, folders, makes_images=False) if images.is_dir() else folders
    return ImageVolumes(images, folders)


def choose_limits(settings: Settings) -> Limits:
    """
    Raises:
        HostError: the setting demands what does not work here.
    """
    if settings.limits == "none":
        return NoLimits()
    try:
        return find_cgroups(settings.data_dir)
    except HostError as error:
        if settings.limits == "cgroup":
            raise HostError(f"The setting limits = cgroup cannot be kept here: {error}") from None
        logger.debug("instances are not held to their flavors: %s", error)
        return NoLimits()


def choose_repository(settings: Settings) -> Place | None:
    """Where backups go besides; whether it can be reached is seen when something goes there."""
    if not settings.backup_repository:
        return None
    return Place(settings.backup_repository, settings.backup_repository_options, settings.repository_key_file)


def choose_copies(settings: Settings) -> Place | None:
    """Where all that is in the repository is copied to. It has the same key."""
    if not settings.backup_copies:
        return None
    return Place(settings.backup_copies, settings.backup_copies_options, settings.repository_key_file)
