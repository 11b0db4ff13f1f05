"""The steps that tables and databases have in common when they are restored under new names beside what serves."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from openrds.domain.deadline import LONG
from openrds.domain.engine import RULES
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance import InstanceType
from openrds.domain.instance_values import Instance
from openrds.engines.protocol import Copies, Copying, Engine, EngineError, NameTaken, NodeSpec, NotThere
from openrds.operations.intake.intake import Intake, check_writable
from openrds.operations.intake.restore_source import source_at
from openrds.operations.steps import restoring
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.serving import keeping_servers, with_primary
from openrds.operations.steps.source import Source
from openrds.store.instances import nodes_of
from openrds.tasks.operation import Operation, Step, StepContext, StepFailed

logger = logging.getLogger(__name__)

#: Milliseconds: what is not there so soon after the moment was hardly there at it.
_STILL_THE_SAME = 5000
#: Of a request.
MOST_COPIES = 2000


class Wanted(msgspec.Struct, frozen=True):
    """What to copy, from when: the operations say of which kind. Shaped as a `Source`, with the copies beside."""

    source_id: str
    backup_id: str
    restore_time: int

    @property
    def source(self) -> Source:
        return Source(self.source_id, self.backup_id, self.restore_time)

    @property
    def copies(self) -> Copies:
        raise NotImplementedError


#: Of any kind of `Wanted`.
Context = StepContext[Resources, Any]


def admit(
    intake: Intake, instance_id: str, operation: Operation[Any, Any], restore_time: int
) -> tuple[Instance, Source]:
    """The instance, and what it was at the moment.

    Raises:
        Refusal: it cannot be restored in now, or not to that moment.
    """
    instance = intake.instance(instance_id)
    if instance.type is InstanceType.REPLICA:
        raise Refusal(ErrorCode.INSTANCE_TYPE, "A read replica cannot be written to; restore in its primary.")
    intake.check(instance, operation)
    check_writable(instance)
    source, _ = source_at(intake, instance_id, restore_time)
    return instance, source


def check_now(intake: Intake, instance: Instance, restore_time: int, copies: Copies) -> None:
    """Who mistyped a name need not wait for a restore: what serves is asked now, where it is within sight.

    What is not there now may have been at an earlier moment, and only the restore can tell.

    Raises:
        Refusal: DATABASE_NAME when a new name is taken; PARAMETER when its place, or what is to be had, is not there.
    """
    if intake.sight is None:
        return
    node, *_ = nodes_of(intake.connection, instance.id)
    target = intake.sight.find(instance, node)
    if target is None:
        return
    copying = intake.sight.engines[target.engine].copying
    try:
        copying.check_names(target, copies)
        if time.time() * 1000 - restore_time < _STILL_THE_SAME:
            copying.check_present(target, copies)
    except NameTaken as error:
        raise Refusal(ErrorCode.DATABASE_NAME, f"{_sentence(error)}.") from None
    except NotThere as error:
        raise Refusal(ErrorCode.PARAMETER, f"{_sentence(error)}.") from None
    except EngineError:
        logger.debug("names are not looked at before the restore", exc_info=True)


@contextmanager
def _once() -> Iterator[None]:
    """A name that is wrong stays wrong: it is not tried again.

    Raises:
        StepFailed: it is.
    """
    try:
        yield
    except (NameTaken, NotThere) as error:
        raise StepFailed(str(error)) from None


def _sentence(error: Exception) -> str:
    text = str(error)
    return text[0].upper() + text[1:]


def check_names(
    instance: Instance, pairs: Sequence[tuple[str, str]], new_places: Sequence[tuple[str, ...]]
) -> None:
    """Old and new names and where the new ones will be, `as_kept`. What the server has already, only a step can see.

    Raises:
        Refusal: a name is missing, too long or used twice.
    """
    if not pairs:
        raise Refusal(ErrorCode.PARAMETER, "Name at least one thing to restore.")
    if len(pairs) > MOST_COPIES:
        raise Refusal(ErrorCode.PARAMETER, f"At most {MOST_COPIES} can be restored at once.")
    rules = RULES[instance.engine]
    if not all(rules.allows_name(name) for pair in pairs for name in pair):
        raise Refusal(ErrorCode.PARAMETER, rules.name_rule)
    if len(set(new_places)) != len(new_places):
        raise Refusal(ErrorCode.DATABASE_NAME, "A new name is used twice; each must be its own.")


def as_kept(instance: Instance, name: str) -> str:
    """A name as the server has it: in lower case, where names do not differ in letter case alone."""
    return name.lower() if instance.options.get("lower_case_table_names") == "1" else name


@with_primary
@keeping_servers
def restore_scratch(context: Context) -> None:
    """Unless there is one that is whole, and runs: else, as after a reboot, it may have lost what was not on disk."""
    resources, scratch, source = context.resources, _scratch(context), context.parameters.source
    if not (restoring.is_whole(scratch) and _engine(context).server(scratch).is_running()):
        with _once():
            _copying(context).check_names(_target(context), context.parameters.copies)
        restoring.archive_source_log(resources, source)
        restoring.make_scratch_root(resources.host)
        restoring.restore_scratch(resources, source, scratch)


def remove_scratch(context: Context) -> None:
    restoring.remove_scratch(context.resources.host, _scratch(context))


@with_primary
def copy(context: Context) -> None:
    restore_scratch(context)
    with _once():
        _copying(context).copy(_scratch(context), _target(context), context.parameters.copies, _mark(context))


@with_primary
def discard(context: Context) -> None:
    _copying(context).discard(_target(context), context.parameters.copies, _mark(context))


@with_primary
def publish(context: Context) -> None:
    _copying(context).publish(_target(context), context.parameters.copies, _mark(context))


STEPS: tuple[Step[Resources, Any], ...] = (
    Step("restore beside", restore_scratch, undo=remove_scratch, expected=2.0, deadline=LONG),
    Step("copy", copy, undo=discard, expected=1.0, deadline=LONG),
    Step("remove what was beside", remove_scratch, expected=0.1),
    # What has appeared belongs to the clients.
    Step("publish", publish, expected=0.02, final=True),
)


def _engine(context: Context) -> Engine:
    return context.resources.engine(context.instance_id)


def _copying(context: Context) -> Copying:
    return _engine(context).copying


def _target(context: Context) -> NodeSpec:
    return context.resources.primary_server(context.instance_id).node


def _scratch(context: Context) -> NodeSpec:
    return restoring.scratch_node(context.resources.host, _target(context), str(context.task_id))


def _mark(context: Context) -> str:
    return context.task_id.hex
