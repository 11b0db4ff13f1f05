"""What makes a copy of a fresh data directory one of its own."""

import pytest

from openrds.engines.postgresql.identity import crc32c, identify
from openrds.engines.protocol import EngineError


def test_the_checksum_is_castagnolis():
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(b"6789", crc32c(b"12345")) == 0xE3069283


def test_a_control_file_that_is_not_whole_is_left_as_it_is(tmp_path):
    control = tmp_path / "global" / "pg_control"
    control.parent.mkdir()
    control.write_bytes(bytes(range(256)) * 32)

    with pytest.raises(EngineError, match="checksum"):
        identify(tmp_path)

    assert control.read_bytes() == bytes(range(256)) * 32
