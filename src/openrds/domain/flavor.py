"""Flavors: the classes of an instance, the same for every engine under the engine's own codes."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from openrds.domain.engine import RULES, EngineName
from openrds.domain.instance import InstanceType
from openrds.domain.settings import Settings

_SUFFIX = {InstanceType.SINGLE: "", InstanceType.HA: ".ha", InstanceType.REPLICA: ".rr"}
_MODE = {InstanceType.SINGLE: "single", InstanceType.HA: "ha", InstanceType.REPLICA: "replica"}

#: size, vCPUs, and the GB of memory for each vCPU that make the last part of a code (`large.2`: 2 vCPUs, 4 GB).
_SIZES = (("medium", 1), ("large", 2), ("xlarge", 4), ("2xlarge", 8), ("4xlarge", 16), ("8xlarge", 32))
_GB_PER_VCPU = (2, 4, 8)
#: The families of flavors: what stands for it in a code, and the `group_type` that clients choose by. In all of them a
#: server has the cores and the memory of its flavor.
_FAMILIES = (("n1", "normal"), ("x1", "dedicated"))
GROUP_TYPES = tuple(group for _, group in _FAMILIES)


@dataclass(frozen=True)
class Flavor:
    """`vcpus` in cores, `memory_gb` in GiB."""

    spec_code: str
    vcpus: int
    memory_gb: int
    instance_type: InstanceType
    group_type: str

    @property
    def id(self) -> str:
        return self.spec_code

    @property
    def memory_mb(self) -> int:
        return self.memory_gb * 1024

    @property
    def instance_mode(self) -> str:
        return _MODE[self.instance_type]


def is_sold_out(flavor: Flavor, memory_mb: Iterable[int | None], settings: Settings) -> bool:
    """Whether none of the hosts with so much memory can hold it. Too few cores only make it slower.

    None is a host whose memory is not known yet, which is taken to be enough.
    """
    if settings.flavors == "scaled":
        return False
    return not any(of_host is None or flavor.memory_mb <= of_host for of_host in memory_mb)


@cache
def flavors_of(engine: EngineName) -> tuple[Flavor, ...]:
    token = RULES[engine].flavor_token
    return tuple(
        Flavor(f"rds.{token}.{family}.{size}.{ratio}{suffix}", vcpus, vcpus * ratio, instance_type, group)
        for instance_type, suffix in _SUFFIX.items()
        for family, group in _FAMILIES
        for size, vcpus in _SIZES
        for ratio in _GB_PER_VCPU
    )


@cache
def find_flavor(engine: EngineName, spec_code: str) -> Flavor | None:
    return next((flavor for flavor in flavors_of(engine) if flavor.spec_code == spec_code), None)


def counterpart(engine: EngineName, spec_code: str, instance_type: InstanceType) -> Flavor | None:
    """The flavor of the same size for another type of instance."""
    flavor = find_flavor(engine, spec_code)
    if flavor is None:
        return None
    stem = spec_code.removesuffix(_SUFFIX[flavor.instance_type])
    return find_flavor(engine, stem + _SUFFIX[instance_type])
