"""The settings of a service. Read from flags, environment and a TOML file by `openrds.service.configuration`."""

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """Times in seconds; `docs/configuration.md` lists every field and a test holds the two together."""

    data_dir: Path
    listen: str = "127.0.0.1:8082"
    store: str = ""
    region: str = "local-1"
    availability_zones: tuple[str, ...] = ("local-1a",)
    projects: tuple[str, ...] = ()
    project_id: str = ""
    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    admin_password: str = field(default="", repr=False)
    private_cidr: str = "127.64.0.0/16"
    public_cidr: str = "127.200.0.0/16"
    dns_listen: str = ""
    dns_zone: str = "rds.internal"
    forwarding: str = "auto"
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_ca_cert: Path | None = None
    tls_ca_key: Path | None = None
    engine_dirs: tuple[Path, ...] = ()
    os_user: str = ""
    os_uids: str = ""
    host: str = "local"
    instance_quota: int = 50
    backup_quota: int = 100
    backup_gb_quota: int = 1000
    public_address_quota: int = 16
    network_quota: int = 100
    task_quota: int = 100
    webhook_quota: int = 10
    webhook_allowed_networks: tuple[str, ...] = ()
    request_rate: int = 1000
    flavors: str = "fitting"
    memory_mb: int = 0
    spare_data_dirs: int = 1
    min_free_mb: int = 512
    volumes: str = "folder"
    limits: str = "auto"
    worker_concurrency: int = 10
    heartbeat_interval: float = 2.0
    worker_timeout: float = 6.0
    monitor_interval: float = 2.0
    hang_timeout: float = 60.0
    first_backup_after: float = 300.0
    backup_repository: str = ""
    backup_repository_options: Path | None = None
    backup_key_file: Path | None = None
    backup_copies: str = ""
    backup_copies_options: Path | None = None
    backup_copies_rate: float = 20.0
    backup_copies_delay: float = 604800.0
    max_connections: int = 4096
    max_connections_per_address: int = 256
    request_timeout: float = 20.0
    metrics_token: str = field(default="", repr=False)
    trusted_proxies: tuple[str, ...] = ()
    log_level: str = "INFO"
    log_file: Path | None = None

    @property
    def project_names(self) -> tuple[str, ...]:
        """The first is the default project, named as the region because SDKs look it up by that name."""
        return self.projects or (self.region,)

    @property
    def private_network(self) -> ipaddress.IPv4Network:
        return ipaddress.IPv4Network(self.private_cidr)

    @property
    def public_network(self) -> ipaddress.IPv4Network:
        return ipaddress.IPv4Network(self.public_cidr)

    @property
    def webhook_networks(self) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        """Where webhooks may lead beside public addresses."""
        return tuple(map(ipaddress.ip_network, self.webhook_allowed_networks))

    @property
    def authority_file(self) -> Path:
        """The key and certificate of the service's own CA."""
        return self.data_dir / "authority.pem"

    @property
    def ca_file(self) -> Path:
        """What clients are to trust."""
        return self.data_dir / "ca.crt"

    @property
    def nodes_dir(self) -> Path:
        return self.data_dir / "nodes"

    @property
    def forwarder_dir(self) -> Path:
        return self.data_dir / "forwarder"

    @property
    def images_dir(self) -> Path:
        return self.data_dir / "images"

    @property
    def backups_dir(self) -> Path:
        return self.data_dir / "backups"

    @property
    def repository_key_file(self) -> Path:
        """The key of the backup repository."""
        return self.backup_key_file or self.data_dir / "repository.key"

    @property
    def scratch_dir(self) -> Path:
        return self.data_dir / "scratch"
