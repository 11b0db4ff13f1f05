"""What the commands for the recycle bin send and print, against an API that answers what the test wants."""

from test_cli_backups import BACKUP_ID, call
from test_cli_commands import INSTANCE_ID, Caller, offer_everything

__all__ = ["call"]

RECYCLED = {
    "id": INSTANCE_ID,
    "name": "orders",
    "engine_name": "PostgreSQL",
    "engine_version": "17",
    "volume_type": "CLOUDSSD",
    "volume_size": 40,
    "deleted_at": "2026-02-03T04:05:06+0000",
    "retained_until": "2026-02-10T04:05:06+0000",
    "recycle_backup_id": BACKUP_ID,
}
NOTHING = {"instances": [], "total_count": 1}


def offer_bin(call: Caller, *found: dict[str, object]) -> None:
    call.api.answer("recycle-instances", {"instances": list(found), "total_count": len(found)}, NOTHING)


def test_the_policy_is_shown_and_changed(call: Caller) -> None:
    call.api.answer("instances/recycle-policy", {"result": "success"}, {"retention_period_in_days": 3})
    result = call("recycle", "policy", "--days", "3")
    assert (result.code, "3" in result.out) == (0, True)
    wanted = {"recycle_policy": {"retention_period_in_days": "3"}}
    assert call.sent("PUT") == [("instances/recycle-policy", wanted)]
    assert call("recycle", "policy", "--days", "8").code == 2


def test_what_is_in_the_bin_is_listed(call: Caller) -> None:
    offer_bin(call, RECYCLED)
    result = call("recycle", "list")
    assert (result.code, BACKUP_ID in result.out, "PostgreSQL 17" in result.out) == (0, True, True)


def test_a_deleted_instance_is_had_back_by_its_name(call: Caller) -> None:
    offer_everything(call.api)
    offer_bin(call, RECYCLED)
    result = call("recycle", "restore", "orders", "--no-wait")
    assert result.code == 0, result.err
    ((path, body),) = call.sent("POST")
    assert (path, body["name"]) == ("instances", "orders")
    assert body["restore_point"] == {"instance_id": INSTANCE_ID, "type": "backup", "backup_id": BACKUP_ID}
    assert body["volume"] == {"type": "CLOUDSSD", "size": 40}
    assert "password" not in body


def test_of_two_of_one_name_one_must_be_named_by_its_id(call: Caller) -> None:
    offer_bin(call, RECYCLED, RECYCLED | {"id": "f" * 32 + "in03"})
    result = call("recycle", "restore", "orders")
    assert (result.code, "2 deleted instances had the name orders" in result.err) == (2, True)


def test_it_is_removed_for_good_only_with_a_yes(call: Caller) -> None:
    offer_bin(call, RECYCLED)
    call.api.answer(f"backups/{BACKUP_ID}", {})
    assert call("recycle", "delete", "orders").code == 2
    call.api.answers["recycle-instances"].clear()
    offer_bin(call, RECYCLED)
    assert call("recycle", "delete", "orders", "--yes").code == 0
    assert call.sent("DELETE") == [(f"backups/{BACKUP_ID}", None)]


def test_what_is_not_there_is_said(call: Caller) -> None:
    offer_bin(call)
    result = call("recycle", "restore", "orders")
    assert (result.code, "no deleted instance orders" in result.err) == (1, True)
