"""Whether an archive of PostgreSQL goes on without a gap, over timelines that were left; the files are empty here."""

from pathlib import Path

import pytest

from openrds.engines.postgresql.archive import goes_on_from

#: The first timeline was left in segment 3, the second at the very beginning of segment 0x100, the first of its log.
HISTORY = "1\t0/3000060\tno recovery target specified\n\n2\t1/0\tno recovery target specified\n"
FIRST = [f"0000000100000000000000{number:02X}" for number in range(1, 4)]
SECOND = [f"0000000200000000000000{number:02X}" for number in range(3, 0x100)]
THIRD = [f"00000003000000010000000{number}" for number in range(3)]
STRAY = [
    "000000010000000000000004",
    "000000010000000000000003.partial",
    "000000020000000000000003.00000028.backup",
]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    (tmp_path / "00000003.history").write_text(HISTORY)
    for name in (*FIRST, *SECOND, *THIRD, *STRAY):
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize("position", [FIRST[0], SECOND[0], SECOND[-1], THIRD[-1]])
def test_it_goes_on_over_timelines(archive: Path, position: str) -> None:
    assert goes_on_from(archive, position)


@pytest.mark.parametrize("lost", [FIRST[1], SECOND[0], SECOND[-1], THIRD[0]])
def test_a_segment_that_is_missing_is_a_gap_for_what_comes_before_it(archive: Path, lost: str) -> None:
    (archive / lost).unlink()
    assert not goes_on_from(archive, FIRST[0])
    assert goes_on_from(archive, THIRD[1])


def test_what_the_new_timeline_has_too_is_not_missed(archive: Path) -> None:
    (archive / FIRST[2]).unlink()
    assert goes_on_from(archive, FIRST[0])


def test_without_log_nothing_is_missing(tmp_path: Path) -> None:
    assert goes_on_from(tmp_path, FIRST[0])
    assert goes_on_from(tmp_path / "nowhere", FIRST[0])
