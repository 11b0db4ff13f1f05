"""What the creation of an instance fixes: how names of tables are compared, and in which characters text is kept.

Source: operations.md 3, and the manuals of the servers for which collations there are.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from openrds.domain.engine import EngineName
from openrds.domain.errors import ErrorCode, Refusal


@dataclass(frozen=True)
class Choices:
    """What an engine lets be chosen. `collations` are by character set, each set's own default first."""

    collations: Mapping[str, tuple[str, ...]]
    character_set: str = "utf8mb4"
    #: Names of tables are compared without regard to letter case, and kept in lower case (`1`), or as written (`0`).
    lower_case_table_names: str = "1"


#: Those that both engines have in each version. A database or a table may have any other.
_COMMON = {
    "utf8mb3": ("utf8mb3_general_ci", "utf8mb3_unicode_ci", "utf8mb3_unicode_520_ci", "utf8mb3_bin"),
    "latin1": ("latin1_swedish_ci", "latin1_general_ci", "latin1_general_cs", "latin1_bin"),
    "ascii": ("ascii_general_ci", "ascii_bin"),
    "gbk": ("gbk_chinese_ci", "gbk_bin"),
    "big5": ("big5_chinese_ci", "big5_bin"),
    "sjis": ("sjis_japanese_ci", "sjis_bin"),
    "ujis": ("ujis_japanese_ci", "ujis_bin"),
    "euckr": ("euckr_korean_ci", "euckr_bin"),
    "cp1251": ("cp1251_general_ci", "cp1251_general_cs", "cp1251_bin"),
    "binary": ("binary",),
}
_UTF8 = ("utf8mb4_general_ci", "utf8mb4_unicode_ci", "utf8mb4_unicode_520_ci", "utf8mb4_bin")
_UTF8_MYSQL = ("utf8mb4_0900_ai_ci", "utf8mb4_0900_as_ci", "utf8mb4_0900_as_cs", "utf8mb4_0900_bin")

CHOICES: Mapping[EngineName, Choices] = {
    EngineName.MYSQL: Choices(
        {
            "utf8mb4": (*_UTF8_MYSQL, *_UTF8, "utf8mb4_zh_0900_as_cs", "utf8mb4_ja_0900_as_cs"),
            **_COMMON,
            "gb18030": ("gb18030_chinese_ci", "gb18030_unicode_520_ci", "gb18030_bin"),
        }
    ),
    EngineName.MARIADB: Choices(
        {"utf8mb4": (*_UTF8, "utf8mb4_nopad_bin", "utf8mb4_general_nopad_ci"), **_COMMON}
    ),
}


def check_options(
    engine: EngineName,
    *,
    lower_case_table_names: str | None,
    character_set: str | None,
    collation: str | None,
) -> dict[str, str]:
    """What an instance is to be created with, by neutral names. Nothing is left to chance: what is not asked for is the
    default of today, which a restore and an upgrade will find again.

    Raises:
        Refusal: PARAMETER, the engine has no such thing, or not this.
    """
    choices = CHOICES.get(engine)
    asked = {
        "unchangeable_param.lower_case_table_names": lower_case_table_names,
        "character_set": character_set,
        "collation": collation,
    }
    if choices is None:
        _refuse_any(engine, asked)
        return {}
    if lower_case_table_names not in (None, "", "0", "1"):
        raise Refusal(ErrorCode.PARAMETER, "unchangeable_param.lower_case_table_names must be 0 or 1.")
    return {
        "lower_case_table_names": lower_case_table_names or choices.lower_case_table_names,
        **_characters(engine, choices, character_set or None, collation or None),
    }


def _refuse_any(engine: EngineName, asked: Mapping[str, str | None]) -> None:
    for field, value in asked.items():
        if value:
            raise Refusal(ErrorCode.PARAMETER, f"{field} is not for {engine}; leave it out.")


def _characters(
    engine: EngineName, choices: Choices, character_set: str | None, collation: str | None
) -> dict[str, str]:
    """A collation alone says of which character set it is."""
    if character_set is None and collation is not None:
        character_set = next((name for name, has in choices.collations.items() if collation in has), None)
        if character_set is None:
            raise Refusal(ErrorCode.PARAMETER, _unknown(engine, choices))
    character_set = character_set or choices.character_set
    if character_set not in choices.collations:
        raise Refusal(
            ErrorCode.PARAMETER,
            f"character_set of {engine} must be one of {', '.join(choices.collations)}.",
        )
    collations = choices.collations[character_set]
    if collation is not None and collation not in collations:
        raise Refusal(
            ErrorCode.PARAMETER, f"collation of {character_set} must be one of {', '.join(collations)}."
        )
    return {"character_set": character_set, "collation": collation or collations[0]}


def _unknown(engine: EngineName, choices: Choices) -> str:
    names = ", ".join(collations[0] for collations in choices.collations.values())
    return f"There is no such collation of {engine}; of each character set there is {names}, and others."
