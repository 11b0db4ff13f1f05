"""Instances that are stopped and started through the API, and what may happen to them meanwhile."""

from typing import Any

import psycopg

from openrds.hosts.addresses import is_answering
from support.service import PASSWORD, ServiceUnderTest, fresh, running_service, wait_for


def act(service: ServiceUnderTest, instance_id: str, what: str) -> Any:
    answer = service.call("POST", f"instances/{instance_id}/action/{what}", headers=fresh())
    return answer.status_code, answer.json()


def done(service: ServiceUnderTest, instance_id: str, what: str) -> dict[str, Any]:
    status, answer = act(service, instance_id, what)
    assert status == 200, answer
    return service.completed(answer["job_id"])


def answers(instance: dict[str, Any]) -> bool:
    return is_answering(instance["private_ips"][0], instance["port"])


def query(instance: dict[str, Any], statement: str) -> Any:
    with psycopg.connect(
        host=instance["private_ips"][0],
        port=instance["port"],
        user="root",
        password=PASSWORD,
        dbname="postgres",
        connect_timeout=10,
    ) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchone() if cursor.description else None


def store_of(service: ServiceUnderTest) -> psycopg.Connection:
    sockets = service.data_dir / "run" / "store"
    return psycopg.connect(f"host={sockets} user=rdsAdmin dbname=postgres", autocommit=True)


def test_a_stopped_instance_stays_stopped_until_it_is_started() -> None:
    with running_service(monitor_interval="0.1") as service:
        instance = service.create(name="sleeping")
        query(instance, "create table kept as select 42 as answer")
        assert done(service, instance["id"], "shutdown")["name"] == "StopPostgresqlInstance"
        assert service.instance(instance["id"])["status"] == "SHUTDOWN"
        assert not answers(instance)

        for path, body in (
            ("action", {"restart": {}}),
            ("action/shutdown", {}),
            ("password", {"db_user_pwd": "An0ther-Secret"}),
        ):
            refused = service.call("POST", f"instances/{instance['id']}/{path}", body, headers=fresh())
            assert (refused.status_code, refused.json()["error_code"]) == (400, "DBS.200086"), path

        # Neither the monitor nor a new start of the service wakes it.
        service.down()
        service.start()
        other = service.create(name="awake")
        wait_for(lambda: answers(other), what="the monitor has had time for a round")
        assert service.instance(instance["id"])["status"] == "SHUTDOWN"
        assert not answers(instance)

        assert done(service, instance["id"], "startup")["name"] == "StartPostgresqlInstance"
        assert service.instance(instance["id"])["status"] == "ACTIVE"
        assert query(instance, "select answer from kept") == (42,)


def test_what_is_not_stopped_cannot_be_started(service: ServiceUnderTest) -> None:
    instance = service.create(name="running-db")
    status, answer = act(service, instance["id"], "startup")
    assert (status, answer["error_code"]) == (400, "DBS.200086")
    status, answer = act(service, "0" * 32 + "in03", "shutdown")
    assert (status, answer["error_code"]) == (404, "DBS.200002")
    service.delete(instance["id"])


def test_a_stopped_instance_can_be_deleted(service: ServiceUnderTest) -> None:
    instance = service.create(name="stopped-db")
    done(service, instance["id"], "shutdown")
    service.delete(instance["id"])
    assert service.get(f"instances?id={instance['id']}")["total_count"] == 0


def test_several_are_stopped_at_once(service: ServiceUnderTest) -> None:
    one, two = service.create(name="first-db"), service.create(name="second-db")
    done(service, two["id"], "shutdown")
    body = {"instance_ids": [one["id"], two["id"], "unknown", one["id"]]}
    answer = service.call("POST", "instances/batch/action/shutdown", body)
    assert answer.status_code == 200, answer.text
    (record,) = answer.json()["records"]
    assert record["instance_id"] == one["id"]
    service.completed(record["job_id"])
    assert service.instance(one["id"])["status"] == "SHUTDOWN"
    for instance in (one, two):
        service.delete(instance["id"])
    refused = service.call("POST", "instances/batch/action/shutdown", {"instance_ids": []})
    assert (refused.status_code, refused.json()["error_code"]) == (400, "DBS.200001")


def test_after_seven_days_it_is_started_in_its_window() -> None:
    with running_service() as service:
        due, early = service.create(name="oversleeping"), service.create(name="not-yet")
        for instance, begin, end in ((due, -1, 3), (early, 2, 6)):
            done(service, instance["id"], "shutdown")
            with store_of(service) as store:
                store.execute(
                    "update instance set stopped_at = now() - interval '8 days', "
                    "maintenance_window = to_char(now() at time zone 'UTC' + %s * interval '1 hour', 'HH24:MI-') "
                    "|| to_char(now() at time zone 'UTC' + %s * interval '1 hour', 'HH24:MI') where id = %s",
                    [begin, end, instance["id"]],
                )
        service.stop()
        service.start()
        wait_for(lambda: service.instance(due["id"])["status"] == "ACTIVE", what="it is started")
        assert service.instance(early["id"])["status"] == "SHUTDOWN"
