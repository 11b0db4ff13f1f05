"""Instances from their creation to their deletion, through the API, on real servers."""

import psycopg

from support.service import PASSWORD, ServiceUnderTest


def connect(instance: dict, password: str = PASSWORD) -> psycopg.Connection:
    return psycopg.connect(
        host=instance["private_ips"][0],
        port=instance["port"],
        user=instance["db_user_name"],
        password=password,
        dbname="postgres",
        connect_timeout=10,
        autocommit=True,
    )


def test_an_instance_is_created_used_restarted_and_deleted(service: ServiceUnderTest) -> None:
    instance = service.create(name="life-of-one")
    assert instance["status"] == "ACTIVE"
    with connect(instance) as connection:
        connection.execute("create table kept as select 42 as answer")
    answer = service.call("POST", f"instances/{instance['id']}/action", {"restart": {}})
    assert answer.status_code == 202
    assert service.completed(answer.json()["job_id"])["name"] == "RestartPostgresqlInstance"
    with connect(instance) as connection:
        assert connection.execute("select answer from kept").fetchone() == (42,)
    service.delete(instance["id"])
    assert service.get(f"instances?id={instance['id']}") == {"instances": [], "total_count": 0}
