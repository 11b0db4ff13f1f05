"""Values of parameters against what there is of one, and against the memory of a flavor."""

import msgspec
import pytest

from openrds.domain.engine import EngineName
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.parameter_limits import LIMITS, check_fit, fitting
from openrds.domain.parameters import Parameter, as_shown, by_name, changed, check_value, check_values

BUFFERS = Parameter(
    name="shared_buffers", type="integer", value="16384", minimum="16", maximum="1073741823", unit="8kB"
)
DELAY = Parameter(
    name="wal_writer_delay", type="integer", value="200", minimum="1", maximum="10000", unit="ms"
)
PACKET = Parameter(name="max_allowed_packet", type="integer", value="1", minimum="1024", maximum="1073741824")
AGE = Parameter(
    name="autovacuum_work_mem", type="integer", value="-1", minimum="-1", maximum="100", unit="kB"
)
COST = Parameter(name="random_page_cost", type="float", value="4", minimum="0", maximum="1.79769e+308")
SWITCH = Parameter(name="jit", type="boolean", value="on", choices=("on", "off"))
WORD = Parameter(name="wal_level", type="string", value="replica", choices=("replica", "logical"))
WORDS = Parameter(name="sql_mode", type="list", value="", choices=("STRICT_TRANS_TABLES", "ANSI_QUOTES"))
TEXT = Parameter(name="search_path", type="string", value="")

RIGHT = [
    (BUFFERS, "32768", "32768"),
    (BUFFERS, "256MB", "32768"),
    (BUFFERS, " 1 GB ", "131072"),
    (DELAY, "2s", "2000"),
    (PACKET, "64M", "67108864"),
    (AGE, "-1", "-1"),
    (COST, "1.1", "1.1"),
    (COST, "1e2", "1e2"),
    (COST, ".5", ".5"),
    (SWITCH, "TRUE", "on"),
    (SWITCH, "0", "off"),
    (WORD, "LOGICAL", "logical"),
    (WORDS, "ansi_quotes, STRICT_TRANS_TABLES", "ANSI_QUOTES,STRICT_TRANS_TABLES"),
    (WORDS, "", ""),
    (TEXT, "\"$user\", public, 'it''s'", "\"$user\", public, 'it''s'"),
    (TEXT, "", ""),
]

WRONG = [
    (BUFFERS, "many", ErrorCode.PARAMETER_VALUE),
    (BUFFERS, "", ErrorCode.PARAMETER_VALUE),
    (BUFFERS, "1.5GB", ErrorCode.PARAMETER_VALUE),
    (BUFFERS, "10ms", ErrorCode.PARAMETER_VALUE),
    (BUFFERS, "10 parsecs", ErrorCode.PARAMETER_VALUE),
    (BUFFERS, "١٢٣٤", ErrorCode.PARAMETER_VALUE),
    (BUFFERS, "0x100", ErrorCode.PARAMETER_VALUE),
    (BUFFERS, "9" * 30, ErrorCode.PARAMETER_VALUE),
    (BUFFERS, "15", ErrorCode.PARAMETER_RANGE),
    (BUFFERS, "64TB", ErrorCode.PARAMETER_RANGE),
    (AGE, "-2", ErrorCode.PARAMETER_RANGE),
    (PACKET, "1GB", ErrorCode.PARAMETER_VALUE),
    (COST, "nan", ErrorCode.PARAMETER_VALUE),
    (COST, "inf", ErrorCode.PARAMETER_VALUE),
    (COST, "-1", ErrorCode.PARAMETER_RANGE),
    (COST, "1e999", ErrorCode.PARAMETER_RANGE),
    (SWITCH, "perhaps", ErrorCode.PARAMETER_VALUE),
    (WORD, "minimal", ErrorCode.PARAMETER_VALUE),
    (WORDS, "ANSI_QUOTES,NO_SUCH", ErrorCode.PARAMETER_VALUE),
    (TEXT, "a\nport = 1", ErrorCode.PARAMETER_VALUE),
    (TEXT, "a\r", ErrorCode.PARAMETER_VALUE),
    (TEXT, "a\0", ErrorCode.PARAMETER_VALUE),
    (TEXT, "a\\", ErrorCode.PARAMETER_VALUE),
    (TEXT, "a\u2028b", ErrorCode.PARAMETER_VALUE),
    (TEXT, "ä", ErrorCode.PARAMETER_VALUE),
    (TEXT, "a" * 1025, ErrorCode.PARAMETER_VALUE),
]


@pytest.mark.parametrize(("parameter", "value", "written"), RIGHT)
def test_a_value_is_written_down_as_the_server_has_it(parameter: Parameter, value: str, written: str) -> None:
    assert check_value(parameter, value) == written


@pytest.mark.parametrize(("parameter", "value", "error"), WRONG)
def test_a_wrong_value_is_refused(parameter: Parameter, value: str, error: ErrorCode) -> None:
    with pytest.raises(Refusal, match=parameter.name) as caught:
        check_value(parameter, value)
    assert caught.value.error is error


def test_what_is_not_known_or_only_read_is_refused() -> None:
    fixed = msgspec.structs.replace(WORD, readonly=True)
    catalogue = by_name([fixed, TEXT])
    for name, error in (
        ("wal_level", ErrorCode.PARAMETER_VALUE),
        ("Search_Path", ErrorCode.PARAMETER_UNKNOWN),
    ):
        with pytest.raises(Refusal) as caught:
            check_values(catalogue, {name: "replica"})
        assert caught.value.error is error
    assert check_values(catalogue, {"search_path": "a"}) == {"search_path": "a"}
    assert as_shown(fixed, "LOGICAL") == "logical"


def test_a_range_is_told_as_the_contract_has_it() -> None:
    told = [one.value_range for one in (BUFFERS, AGE, SWITCH, WORD, TEXT)]
    assert told == ["16-1073741823", "-1-100", "on|off", "replica|logical", ""]


def test_what_changes_is_what_differs_or_goes() -> None:
    assert changed({"a": "1", "b": "2", "c": "3"}, {"a": "1", "b": "3", "d": "4"}) == ["b", "c", "d"]


@pytest.mark.parametrize(
    ("engine", "name", "memory_mb", "most"),
    [
        (EngineName.POSTGRESQL, "shared_buffers", 2048, 131072),
        (EngineName.POSTGRESQL, "max_connections", 2048, 512),
        (EngineName.POSTGRESQL, "max_connections", 128, 100),
        (EngineName.POSTGRESQL, "work_mem", 4096, 2**20),
        (EngineName.MYSQL, "innodb_buffer_pool_size", 4096, 3 * 2**30),
        (EngineName.MARIADB, "sort_buffer_size", 2048, 2**28),
    ],
)
def test_memory_bounds_what_an_instance_may_have(
    engine: EngineName, name: str, memory_mb: int, most: int
) -> None:
    check_fit(engine, {name: str(most)}, memory_mb)
    with pytest.raises(Refusal, match=f"{name} may be at most {most} .* {memory_mb} MB") as caught:
        check_fit(engine, {name: str(most + 1)}, memory_mb)
    assert caught.value.error is ErrorCode.PARAMETER_RANGE
    other = {"other": "1"}
    assert fitting(engine, {name: str(most + 1), **other}, memory_mb) == other
    assert fitting(engine, {name: str(most + 1), **other}, 2 * memory_mb + 1000) == {
        name: str(most + 1),
        **other,
    }


@pytest.mark.parametrize("engine", LIMITS)
def test_more_memory_never_bounds_more(engine: EngineName) -> None:
    for share in LIMITS[engine].values():
        bounds = [share.most(memory) for memory in (256, 2048, 4096, 65536)]
        assert bounds == sorted(bounds) and bounds[0] > 0
