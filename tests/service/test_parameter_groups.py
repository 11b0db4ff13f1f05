"""Parameter groups at the creation of instances and in restores, and those that are refused."""

import pytest

from support.service import ServiceUnderTest, session, wait_for

pytestmark = pytest.mark.timeout(300)


def group(service: ServiceUnderTest, name: str, **values: str) -> str:
    store = {"type": "postgresql", "version": service.newest_version()}
    answer = service.call("POST", "configurations", {"name": name, "datastore": store, "values": values})
    assert answer.status_code == 200, answer.text
    id_: str = answer.json()["configuration"]["id"]
    return id_


def code(service: ServiceUnderTest, method: str, path: str, body: object = None) -> tuple[int, str]:
    answer = service.call(method, path, body)
    return answer.status_code, answer.json().get("error_code", "")


def setting(instance: dict[str, object], name: str) -> str:
    with session(instance) as client:
        ((value,),) = client.execute(f"SHOW {name}")
    return str(value)


def test_an_instance_has_its_group_from_the_beginning_and_so_has_what_is_restored_of_it(
    service: ServiceUnderTest,
) -> None:
    tuned = group(service, "from-birth", max_connections="123", work_mem="6MB")
    made = service.call("POST", "instances", service.create_body(name="tuned", configuration_id=tuned))
    assert made.json()["instance"]["configuration_id"] == tuned
    service.completed(made.json()["job_id"])
    id_ = made.json()["instance"]["id"]
    assert setting(service.instance(id_), "max_connections") == "123"
    assert code(service, "DELETE", f"configurations/{tuned}") == (400, "DBS.212032")
    backup = service.call("POST", "backups", {"instance_id": id_, "name": "of-the-tuned"}).json()["backup"]

    def finished() -> bool:
        listed = service.get(f"backups?instance_id={id_}&backup_id={backup['id']}")["backups"]
        return bool(listed[0]["status"] == "COMPLETED")

    wait_for(finished, 60.0)
    point = {"instance_id": id_, "type": "backup", "backup_id": backup["id"]}
    body = service.create_body(name="restored", restore_point=point)
    restored = service.call("POST", "instances", body)
    assert restored.status_code == 202, restored.text
    service.completed(restored.json()["job_id"])
    again = service.instance(restored.json()["instance"]["id"])
    assert (setting(again, "max_connections"), setting(again, "work_mem")) == ("123", "6MB")
    for one in (id_, again["id"]):
        service.delete(one)
    assert code(service, "DELETE", f"configurations/{tuned}") == (200, "")


def test_groups_that_are_not_there_or_do_not_fit_are_refused(service: ServiceUnderTest) -> None:
    nothing = "0" * 32 + "pr03"
    body = service.create_body(configuration_id=nothing)
    assert code(service, "POST", "instances", body) == (404, "DBS.212001")
    large = group(service, "large", shared_buffers="4GB")
    body = service.create_body(configuration_id=large)
    assert code(service, "POST", "instances", body) == (400, "DBS.280271")
    store = {"type": "PostgreSQL", "version": service.newest_version()}
    same = {"name": "large", "datastore": store}
    assert code(service, "POST", "configurations", same) == (400, "DBS.200001")
    for changed, error in (
        ({"name": "a b"}, "DBS.200001"),
        ({"name": "x", "datastore": {"type": "Oracle", "version": "1"}}, "DBS.200042"),
        ({"name": "x", "datastore": {"type": "PostgreSQL", "version": "9"}}, "DBS.200041"),
        ({"name": "x", "description": "d" * 257}, "DBS.200001"),
        ({"name": "x", "values": {"archive_command": "true"}}, "DBS.212012"),
        ({"name": "x", "values": {"work_mem": "1\n"}}, "DBS.212017"),
        ({"name": "x", "values": {"fsync": "off"}}, "DBS.212017"),
    ):
        assert code(service, "POST", "configurations", {**same, **changed}) == (400, error), changed
    for method, path, sent in (
        ("GET", "", None),
        ("PUT", "", {"name": "y"}),
        ("DELETE", "", None),
        ("POST", "/copy", {"name": "y"}),
        ("PUT", "/reset", None),
        ("PUT", "/apply", {"instance_ids": ["1" * 32 + "in03"]}),
        ("GET", "/apply-histories", None),
        ("GET", "/query-instances", None),
    ):
        assert code(service, method, f"configurations/{nothing}{path}", sent) == (404, "DBS.212001"), path
    assert code(service, "DELETE", f"configurations/{large}") == (200, "")
