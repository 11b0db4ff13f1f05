"""What the creation of an instance fixes: what is asked for is checked, and what is not asked for is written down."""

import pytest

from openrds.domain.engine import EngineName
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.options import CHOICES, check_options

MYSQL, MARIADB, POSTGRESQL, SQLSERVER = (
    EngineName.MYSQL,
    EngineName.MARIADB,
    EngineName.POSTGRESQL,
    EngineName.SQLSERVER,
)


def options(
    engine: EngineName,
    names: str | None = None,
    character_set: str | None = None,
    collation: str | None = None,
) -> tuple[str, ...]:
    return tuple(
        check_options(
            engine, lower_case_table_names=names, character_set=character_set, collation=collation
        ).values()
    )


@pytest.mark.parametrize(
    ("engine", "asked", "found"),
    [
        (MYSQL, (None, None, None), ("1", "utf8mb4", "utf8mb4_0900_ai_ci")),
        (MARIADB, (None, None, None), ("1", "utf8mb4", "utf8mb4_general_ci")),
        (MYSQL, ("", "", ""), ("1", "utf8mb4", "utf8mb4_0900_ai_ci")),
        (MYSQL, ("0", "latin1", None), ("0", "latin1", "latin1_swedish_ci")),
        (MARIADB, ("1", None, "gbk_bin"), ("1", "gbk", "gbk_bin")),
        (MYSQL, (None, "utf8mb4", "utf8mb4_bin"), ("1", "utf8mb4", "utf8mb4_bin")),
        (POSTGRESQL, (None, None, None), ()),
        (POSTGRESQL, ("", None, ""), ()),
    ],
)
def test_what_is_not_asked_for_is_the_default_of_the_engine(
    engine: EngineName, asked: tuple[str | None, ...], found: tuple[str, ...]
) -> None:
    assert options(engine, *asked) == found


@pytest.mark.parametrize(
    ("engine", "asked", "word"),
    [
        (MYSQL, ("2", None, None), "must be 0 or 1"),
        (MYSQL, (None, "klingon", None), "utf8mb4"),
        (MYSQL, (None, "latin1", "utf8mb4_bin"), "latin1_swedish_ci"),
        (MYSQL, (None, None, "utf8mb4_bin; drop"), "There is no such collation"),
        (MARIADB, (None, None, "utf8mb4_0900_ai_ci"), "There is no such collation"),
        (POSTGRESQL, ("1", None, None), "lower_case_table_names is not for PostgreSQL"),
        (POSTGRESQL, (None, "utf8mb4", None), "character_set is not for PostgreSQL"),
        (SQLSERVER, (None, None, "Chinese_PRC_CI_AS"), "collation is not for SQLServer"),
    ],
)
def test_what_an_engine_does_not_have_is_refused(
    engine: EngineName, asked: tuple[str | None, ...], word: str
) -> None:
    with pytest.raises(Refusal, match=word) as refused:
        options(engine, *asked)
    assert refused.value.error is ErrorCode.PARAMETER


@pytest.mark.parametrize("engine", CHOICES)
def test_a_collation_is_of_its_character_set(engine: EngineName) -> None:
    for character_set, collations in CHOICES[engine].collations.items():
        assert all(name == character_set or name.startswith(f"{character_set}_") for name in collations)
