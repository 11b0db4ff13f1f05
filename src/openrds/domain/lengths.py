"""How long a text or a list of a request may be."""

from typing import Annotated, TypeVar

import msgspec

LONGEST = 1024
MOST = 1000

T = TypeVar("T")

#: What a request may hold anywhere; the rules of single values are stricter.
Text = Annotated[str, msgspec.Meta(max_length=LONGEST)]
Several = Annotated[list[T], msgspec.Meta(max_length=MOST)]

#: The id of something that is not ours: it is only kept.
ForeignId = Annotated[str, msgspec.Meta(max_length=64)]
