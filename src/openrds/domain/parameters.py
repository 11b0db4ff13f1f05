"""Parameters of database servers: what there is of one, and whether a value is one that it may have.

Source: reads.md 5.
"""

import re
from collections.abc import Iterable, Mapping

import msgspec

from openrds.domain.errors import ErrorCode, Refusal

#: Of a value that is any text.
LONGEST_VALUE = 1024

_NUMBER = re.compile(r"([+-]?\d{1,20})\s*([A-Za-z]*)", re.ASCII)
_FLOAT = re.compile(r"[+-]?(?:\d{1,20}(?:\.\d{0,20})?|\.\d{1,20})(?:[eE][+-]?\d{1,3})?", re.ASCII)
#: Printable, so that no value ends its line; without the character that escapes others, in whatever way of quoting.
_TEXT = re.compile(r"[ -\[\]-~]*", re.ASCII)
_YES, _NO = ("on", "true", "yes", "1"), ("off", "false", "no", "0")

_BYTES = {"B": 1, "kB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40, "8kB": 8 * 2**10, "16MB": 2**24}
_MICROSECONDS = {"us": 1, "ms": 10**3, "s": 10**6, "min": 60 * 10**6, "h": 3600 * 10**6, "d": 86400 * 10**6}
#: Of a number without a unit: multiples, as the configuration files of MySQL and MariaDB have them.
_MULTIPLES = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """A parameter as the servers of one version have it.

    `type` is the contract's: `string`, `integer`, `boolean`, `list` (several of the `choices`, parted by commas) or
    `float`. `value` is what a server has that was told nothing, in the smallest class. Numbers are multiples of the
    `unit`, which is empty for those that count something. `restart` says that a change needs one.
    """

    name: str
    type: str
    value: str
    description: str = ""
    minimum: str = ""
    maximum: str = ""
    choices: tuple[str, ...] = ()
    unit: str = ""
    restart: bool = False
    readonly: bool = False

    @property
    def value_range(self) -> str:
        """`1-100`, `on|off`, or nothing for a text."""
        return (
            "|".join(self.choices) if self.choices else "-".join(filter(None, (self.minimum, self.maximum)))
        )


#: Those of one version of an engine, by name.
Catalogue = Mapping[str, Parameter]


def check_values(catalogue: Catalogue, values: Mapping[str, str]) -> dict[str, str]:
    """The values as they are written down: numbers in the parameter's unit, words as the server spells them.

    Raises:
        Refusal: PARAMETER_UNKNOWN, PARAMETER_VALUE or PARAMETER_RANGE for the first that is wrong.
    """
    return {name: check_value(_find(catalogue, name), value) for name, value in values.items()}


def check_value(parameter: Parameter, value: str) -> str:
    """
    Raises:
        Refusal: see `check_values`.
    """
    if parameter.readonly:
        raise Refusal(
            ErrorCode.PARAMETER_VALUE, f"{parameter.name} is openrds' own to set; it can only be read."
        )
    if not _TEXT.fullmatch(value) or len(value) > LONGEST_VALUE:
        raise _wrong(
            parameter,
            f"a text of at most {LONGEST_VALUE} characters, printable ones of ASCII without the backslash",
        )
    match parameter.type:
        case "boolean":
            return _boolean(parameter, value)
        case "integer":
            return _in_range(parameter, str(_integer(parameter, value)), int)
        case "float":
            if not _FLOAT.fullmatch(value):
                raise _wrong(parameter, "a number")
            return _in_range(parameter, value, float)
        case "list":
            return (
                ",".join(_choice(parameter, word.strip()) for word in value.split(","))
                if value.strip()
                else ""
            )
    return _choice(parameter, value) if parameter.choices else value


def as_shown(parameter: Parameter, value: str) -> str:
    """A value from a configuration file, in the parameter's unit."""
    try:
        return check_value(msgspec.structs.replace(parameter, readonly=False), value)
    except Refusal:
        return value


def changed(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """The names of those that have another value, or none any more."""
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def by_name(parameters: Iterable[Parameter]) -> dict[str, Parameter]:
    return {parameter.name: parameter for parameter in parameters}


def _find(catalogue: Catalogue, name: str) -> Parameter:
    found = catalogue.get(name)
    if found is None:
        raise Refusal(
            ErrorCode.PARAMETER_UNKNOWN,
            f"There is no parameter {name[:64]!r} that can be set; the parameters of a group or an instance list those "
            "that can.",
        )
    return found


def _boolean(parameter: Parameter, value: str) -> str:
    on, off = parameter.choices
    if value.lower() in _YES:
        return on
    if value.lower() in _NO:
        return off
    raise _wrong(parameter, f"{on} or {off}")


def _choice(parameter: Parameter, value: str) -> str:
    for choice in parameter.choices:
        if choice.lower() == value.lower():
            return choice
    choices = ", ".join(parameter.choices)
    raise _wrong(parameter, f"{'some' if parameter.type == 'list' else 'one'} of {choices}")


def _integer(parameter: Parameter, value: str) -> int:
    """A number in the parameter's unit; others that measure the same may be given with theirs.

    Raises:
        Refusal: PARAMETER_VALUE.
    """
    found = _NUMBER.fullmatch(value.strip())
    if found is None:
        raise _wrong(parameter, f"a whole number{_unit(parameter)}")
    number, unit = int(found[1]), found[2]
    if unit == parameter.unit or not unit:
        return number
    for units in (_BYTES, _MICROSECONDS, _MULTIPLES):
        if parameter.unit in units and unit in units:
            return number * units[unit] // units[parameter.unit]
    raise _wrong(parameter, f"a whole number{_unit(parameter)}")


def _in_range(parameter: Parameter, value: str, number: type[int] | type[float]) -> str:
    low, high = parameter.minimum, parameter.maximum
    if (low and number(value) < number(low)) or (high and number(value) > number(high)):
        raise Refusal(
            ErrorCode.PARAMETER_RANGE,
            f"{parameter.name} must be {low} to {high}{_unit(parameter)}, and not {value}.",
        )
    return value


def _unit(parameter: Parameter) -> str:
    return f", in units of {parameter.unit}" if parameter.unit else ""


def _wrong(parameter: Parameter, wanted: str) -> Refusal:
    return Refusal(ErrorCode.PARAMETER_VALUE, f"{parameter.name} must be {wanted}.")
