"""The cloud's own Python SDK, unmodified: the small calls, answered with what is, and doing what they say."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkrds.v3 import RdsClient
from huaweicloudsdkrds.v3 import model as m

from support.pairs import Pair, each_engine
from support.sdk import LONG, completed, connected, creation, listed, next_second
from support.service import ServiceUnderTest, fresh, running_service, wait_for
from support.windows import set_window

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]

NOBODY = f"{'0' * 32}in03"


@pytest.fixture(scope="module")
def service() -> Iterator[ServiceUnderTest]:
    """Of its own: what counts all of a project's instances must not see those of others."""
    with running_service() as running:
        yield running


@pytest.fixture(scope="module")
def client(service: ServiceUnderTest) -> Iterator[RdsClient]:
    with connected(service) as client:
        yield client


@pytest.fixture(scope="module")
def id_(service: ServiceUnderTest) -> str:
    found: str = service.create(name="small-calls", tags=[{"key": "team", "value": "orders"}])["id"]
    return found


def refused(call: Callable[[], Any]) -> tuple[int, str, str]:
    with pytest.raises(ClientRequestException) as caught:
        call()
    return caught.value.status_code, caught.value.error_code, caught.value.error_msg


# --- some and all instances ---------------------------------------------------------------------------------------


def test_some_instances_in_short(client: RdsClient, service: ServiceUnderTest, id_: str) -> None:
    body = m.SimplifiedInstancesRequest([NOBODY, id_, "no id"])
    (one,) = client.list_simplified_instances(m.ListSimplifiedInstancesRequest(body=body)).instances
    (shown,) = listed(client, id=id_)
    assert (one.id, one.name, one.instance_status, one.frozen) == (id_, "small-calls", "normal", False)
    assert (one.engine_name, one.engine_version) == ("postgresql", shown.datastore.version)
    assert (one.type, one.spec_code, one.pay_model) == ("Single", shown.flavor_ref, "postPaid")
    assert (one.volume_type, one.volume_size) == (shown.volume.type, shown.volume.size)
    assert (one.availability_zone_ids, one.read_only_instances, one.current_actions) == (["local-1a"], [], [])


def test_instances_are_counted_by_how_they_are(client: RdsClient, id_: str) -> None:
    counted = client.collect_instance_statistic(m.CollectInstanceStatisticRequest())
    assert (counted.total_num, counted.normal_num, counted.abnormal_num) == (1, 1, 0)
    assert (counted.disk_full_num, counted.frozen_num, counted.wait_reboot_num) == (0, 0, 0)
    assert client.collect_instance_statistic(m.CollectInstanceStatisticRequest(engine="mysql")).total_num == 0
    unknown = m.CollectInstanceStatisticRequest(engine="oracle")
    assert refused(lambda: client.collect_instance_statistic(unknown))[:2] == (400, "DBS.200042")


def check_several_are_resized(client: RdsClient, ids: list[str], flavor: str) -> None:
    """All of them, or none: here one of them is not there, has it already, or is named once too often."""

    def resize(*ids: str, **more: Any) -> m.BatchResizeFlavorResponse:
        body = m.BatchResizeFlavorRequestBody(instance_ids=list(ids), spec_code=flavor, **more)
        answer: m.BatchResizeFlavorResponse = client.batch_resize_flavor(
            m.BatchResizeFlavorRequest(body=body)
        )
        return answer

    def tasks() -> list[Any]:
        return [
            task
            for id_ in ids
            for task in client.list_tasks(m.ListTasksRequest(instance_id=id_)).tasks
            if task.name == "ResizePostgresqlFlavor"
        ]

    status, code, message = refused(lambda: resize(*ids, NOBODY))
    assert (status, code) == (404, "DBS.200002") and NOBODY in message
    assert tasks() == []
    assert refused(lambda: resize(*(f"{number:032x}in03" for number in range(11))))[:2] == (400, "DBS.200001")
    assert completed(client, resize(*ids, auto_pay=True).job_id).name == "ResizePostgresqlFlavor"
    for task in tasks():
        completed(client, task.id)
    assert {one.flavor_ref for one in listed(client, name="*batch-")} == {flavor}
    assert len(tasks()) == len(ids)
    assert "already" in refused(lambda: resize(*ids))[2]


def test_several_instances_are_deleted_at_once(client: RdsClient, service: ServiceUnderTest) -> None:
    ids = []
    for name in ("batch-one", "batch-two"):
        answer = client.create_instance(
            m.CreateInstanceRequest(body=creation(service.create_body(name=name)))
        )
        completed(client, answer.job_id)
        ids.append(answer.instance.id)
    check_several_are_resized(client, ids, "rds.pg.n1.medium.4")
    body = m.MultipleDeleteInsReq(instance_ids=[*ids, NOBODY])
    answer = client.batch_delete_instance(m.BatchDeleteInstanceRequest(body=body))
    assert answer.status_code == 202
    assert [record.instance_id for record in answer.records] == ids
    for record in answer.records:
        assert completed(client, record.job_id).name == "DeletePostgresqlInstance"
    assert [one.id for one in listed(client, name="*batch-")] == []
    too_many = m.MultipleDeleteInsReq(instance_ids=[NOBODY] * 51)
    request = m.BatchDeleteInstanceRequest(body=too_many)
    assert refused(lambda: client.batch_delete_instance(request))[:2] == (400, "DBS.200001")


def with_replica(service: ServiceUnderTest, name: str) -> tuple[str, str]:
    """The ids of a primary and of its read replica."""
    primary = service.create(name=f"{name}-primary")
    replica = {
        "name": f"{name}-replica",
        "replica_of_id": primary["id"],
        "flavor_ref": "rds.pg.n1.medium.2.rr",
        "volume": {"type": "CLOUDSSD"},
        "availability_zone": "local-1a",
    }
    created = service.call("POST", "instances", replica, headers=fresh()).json()
    service.completed(created["job_id"])
    return primary["id"], created["instance"]["id"]


def test_a_replica_is_deleted_with_its_primary_where_both_are(
    client: RdsClient, service: ServiceUnderTest
) -> None:
    primary, replica = with_replica(service, "both")
    body = m.MultipleDeleteInsReq(instance_ids=[replica, primary])
    records = client.batch_delete_instance(m.BatchDeleteInstanceRequest(body=body)).records
    assert [record.instance_id for record in records] == [replica, primary]
    (job_id,) = {record.job_id for record in records}
    assert completed(client, job_id).instance.id == primary
    assert listed(client, name="*both-") == []


def test_a_primary_is_deleted_while_its_replica_is(client: RdsClient, service: ServiceUnderTest) -> None:
    primary, replica = with_replica(service, "goes")
    both = [client.delete_instance(m.DeleteInstanceRequest(instance_id=one)) for one in (replica, primary)]
    for answer in both:
        assert completed(client, answer.job_id).name == "DeletePostgresqlInstance"
    assert listed(client, name="*goes-") == []


# --- what an instance has -----------------------------------------------------------------------------------------


def test_the_space_that_an_instance_takes(client: RdsClient, service: ServiceUnderTest, id_: str) -> None:
    body = {"instance_id": id_, "name": "takes-space"}
    backup = service.call("POST", "backups", body, headers=fresh()).json()["backup"]
    kept = f"backups?instance_id={id_}&backup_id={backup['id']}"
    wait_for(lambda: service.get(kept)["backups"][0]["status"] == "COMPLETED", 60)
    size_mb = service.get(kept)["backups"][0]["size"] / 1024

    summary = client.list_instance_backup_summary(m.ListInstanceBackupSummaryRequest(instance_id=id_))
    (info,) = summary.infos
    assert (info.instance_id, info.name, summary.total) == (id_, "small-calls", 1)
    assert info.backup_used_space == info.space.db == pytest.approx(size_mb, abs=0.01)
    assert (info.datastore.type, info.datastore.version) == ("PostgreSQL", service.newest_version())
    used = client.show_backup_usage(m.ShowBackupUsageRequest())
    assert used.backup_use_space == used.db_use_space == pytest.approx(size_mb, abs=0.01)
    assert used.offsite_use_space == used.rds_snapshot_use_space == 0
    assert client.show_backup_usage(m.ShowBackupUsageRequest(engine="mysql")).backup_use_space == 0
    other = client.list_instance_backup_summary(m.ListInstanceBackupSummaryRequest(engine="mysql"))
    assert (other.infos, other.total) == ([], 0)

    # The first measurement comes with a round, and later ones may differ.
    wait_for(lambda: listed(client, id=id_)[0].storage_used_space, 60, "its volume was measured")
    (one,) = listed(client, id=id_)
    assert one.backup_used_space == pytest.approx(size_mb / 1024, abs=0.01)
    assert 0 < one.storage_used_space < 40
    assert [found.storage_used_space for found in listed(client, name="small-calls")] == [None]

    volumes = service.get(f"instances/{id_}/volumes")
    (volume,) = volumes["volumes"]
    assert (volumes["instance_id"], volume["node_id"]) == (id_, one.nodes[0].id)
    assert (volume["role"], volume["type"], volume["size"]) == ("master", "CLOUDSSD", "40")
    assert 0 < float(volume["used"]) < 40
    assert client.list_volume_info(m.ListVolumeInfoRequest(instance_id=id_)).status_code == 200


def test_a_backup_is_seen_while_it_is_deleted_and_deleted_once(service: ServiceUnderTest, id_: str) -> None:
    body = {"instance_id": id_, "name": "goes-soon"}
    wait_for(lambda: service.instance(id_)["status"] == "ACTIVE")
    backup = service.call("POST", "backups", body, headers=fresh()).json()["backup"]
    kept = f"backups?instance_id={id_}&backup_id={backup['id']}"
    wait_for(lambda: service.get(kept)["backups"][0]["status"] == "COMPLETED", 60)
    worker = service.child("worker")
    worker.suspend()
    try:
        for code, count in ((200, 1), (404, 1)):
            answer = service.call("DELETE", f"backups/{backup['id']}", headers=fresh())
            assert answer.status_code == code
            seen = service.get(kept)
            assert [one["status"] for one in seen["backups"]] == ["DELETING"]
            assert seen["total_count"] == count
    finally:
        worker.resume()
    wait_for(lambda: service.get(kept)["total_count"] == 0, 30, "it has left the list")


def test_what_an_instance_could_be_changed_to_by_families(client: RdsClient, id_: str) -> None:
    groups = client.list_flavors_resize(m.ListFlavorsResizeRequest(instance_id=id_)).flavor_groups
    assert [group.group_type for group in groups] == ["normal", "dedicated"]
    offered = client.list_engine_flavors(m.ListEngineFlavorsRequest(instance_id=id_)).optional_flavors
    assert [flavor.code for group in groups for flavor in group.compute_flavors] == [
        flavor.spec_code for flavor in offered
    ]
    assert {flavor.spec_code: flavor.group_type for flavor in offered}["rds.pg.x1.large.4"] == "dedicated"
    own = m.ShowPostgresqlParamValueRequest(instance_id=id_, name="max_connections")
    (as_large,) = [flavor for flavor in offered if flavor.spec_code == "rds.pg.x1.medium.2"]
    assert as_large.max_connection == client.show_postgresql_param_value(own).value
    (large,) = [one for one in groups[1].compute_flavors if one.code == "rds.pg.x1.large.4"]
    assert (large.vcpus, large.ram, large.az_status) == ("2", "8", {"local-1a": "normal"})


# --- what is off, and stays so ------------------------------------------------------------------------------------


def test_what_is_not_done_by_itself_is_read_as_off(client: RdsClient, id_: str) -> None:
    scaling = client.list_auto_scaling_policy(m.ListAutoScalingPolicyRequest(instance_id=id_))
    assert (scaling.instance_id, scaling.status, scaling.reduce_enabled) == (id_, "OFF", "OFF")
    assert (scaling.monitor_cycle, scaling.enlarge_threshold, scaling.max_flavor) == (0, 0, "")
    history = client.list_auto_scaling_history(m.ListAutoScalingHistoryRequest(instance_id=id_))
    assert (history.records, history.total_count) == ([], 0)
    restart = client.show_restart_policy(m.ShowRestartPolicyRequest(instance_id=id_))
    assert (restart.restart_server, restart.restart_policy) == (False, {})


def test_it_can_be_switched_off_and_not_on(client: RdsClient, id_: str) -> None:
    def scaling(on: bool) -> Any:
        body = m.SetAutoScalingPolicyRequestBody(status="ON" if on else "OFF", monitor_cycle=300)
        return client.set_auto_scaling_policy(m.SetAutoScalingPolicyRequest(instance_id=id_, body=body))

    assert scaling(False).status == "OFF"
    assert refused(lambda: scaling(True))[:2] == (409, "DBS.200402")
    half = m.SetAutoScalingPolicyRequestBody(status="OFF", reduce_enabled="ON")
    request = m.SetAutoScalingPolicyRequest(instance_id=id_, body=half)
    assert refused(lambda: client.set_auto_scaling_policy(request))[:2] == (409, "DBS.200402")
    unknown = m.SetAutoScalingPolicyRequestBody(status="Maybe")
    request = m.SetAutoScalingPolicyRequest(instance_id=id_, body=unknown)
    assert refused(lambda: client.set_auto_scaling_policy(request))[:2] == (400, "DBS.200001")


def test_it_is_measured_more_closely_or_not(client: RdsClient, id_: str) -> None:
    def switch(on: bool, interval: int | None = None) -> Any:
        body = m.SecondMonitor(switch_option=on, interval=interval)
        return client.set_second_level_monitor(m.SetSecondLevelMonitorRequest(instance_id=id_, body=body))

    def shown() -> tuple[bool, int]:
        found = client.show_second_level_monitoring(m.ShowSecondLevelMonitoringRequest(instance_id=id_))
        return found.switch_option, found.interval

    assert shown() == (False, 0)
    assert switch(True, 5).status_code == 200
    assert shown() == (True, 5)
    for interval in (None, 0, 2, 60):
        assert refused(lambda interval=interval: switch(True, interval))[:2] == (400, "DBS.200001")
    assert switch(False).status_code == 200
    assert shown() == (False, 0)


def test_what_is_fixed_of_backups_is_read_and_set_as_it_is(client: RdsClient, id_: str) -> None:
    def retain(auto: str, manual: str, *ids: str) -> Any:
        body = m.SetBackupRetainPolicyRequestBody(auto=auto, manual=manual, instanceids=list(ids or (id_,)))
        return client.set_backup_retain_policy(m.SetBackupRetainPolicyRequest(body=body))

    def select(kept: bool) -> Any:
        body = m.DeleteBackupSelectionRequestBody(selection=kept)
        return client.delete_backup_selection(m.DeleteBackupSelectionRequest(instance_id=id_, body=body))

    def alarm(state: str) -> Any:
        body = m.UpdateBackupUsageAlarmConfigRequestBody(alarm_enabled=state, threshold_percent=80)
        return client.update_backup_usage_alarm_config(m.UpdateBackupUsageAlarmConfigRequest(body=body))

    body = m.ShowBackupRetainPolicyRequestBody(instanceids=[id_])
    shown = client.show_backup_retain_policy(m.ShowBackupRetainPolicyRequest(body=body))
    assert (shown.instance_id, shown.name, shown.auto, shown.manual) == (id_, "small-calls", "NONE", "ALL")
    assert (retain("NONE", "ALL").resp, select(False).resp) == ("successful", "successful")
    for call in (lambda: retain("ALL", "ALL"), lambda: retain("NONE", "LAST"), lambda: select(True)):
        status, code, message = refused(call)
        assert (status, code) == (409, "DBS.200402") and "recycle bin" in message
    assert refused(lambda: retain("SOME", "ALL"))[:2] == (400, "DBS.200001")
    assert refused(lambda: retain("NONE", "ALL", id_, NOBODY))[:2] == (404, "DBS.200002")
    config = client.show_backup_usage_alarm_config(m.ShowBackupUsageAlarmConfigRequest())
    assert (config.alarm_enabled, config.threshold_percent) == ("OFF", None)
    assert alarm("OFF").status == "COMPLETED"
    assert refused(lambda: alarm("ON"))[:2] == (409, "DBS.200402")
    exceeded = client.show_backup_usage_exceeded_instances(m.ShowBackupUsageExceededInstancesRequest())
    assert (exceeded.instances, exceeded.total) == ([], 0)


def test_it_is_read_only_or_not(client: RdsClient, id_: str) -> None:
    def switch(on: bool) -> None:
        body = m.MysqlReadOnlySwitch(readonly=on)
        answer = client.set_read_only_switch(m.SetReadOnlySwitchRequest(instance_id=id_, body=body))
        assert completed(client, answer.job_id).name == "SetPostgresqlReadOnlySwitch"

    def shown() -> bool:
        (found,) = listed(client, id=id_)
        return bool(found.read_only_by_user)

    assert not shown()
    for on in (True, False):
        switch(on)
        assert shown() is on
    body = m.UnlockNodeReadonlyStatusRequestBody(status_preservation_time=10)
    request = m.UnlockNodeReadonlyStatusRequest(instance_id=id_, body=body)
    assert refused(lambda: client.unlock_node_readonly_status(request))[:2] == (400, "DBS.200086")


def test_newer_minor_versions_come_by_themselves_or_not(client: RdsClient, id_: str) -> None:
    def switch(on: bool, instance_id: str = id_) -> Any:
        body = m.CustomerModifyAutoUpgradePolicyReq(switch_option=on)
        request = m.SetAutoUpgradePolicyRequest(instance_id=instance_id, body=body)
        return client.set_auto_upgrade_policy(request)

    def shown() -> bool:
        request = m.ShowAutoUpgradePolicyRequest(instance_id=id_)
        return bool(client.show_auto_upgrade_policy(request).switch_option)

    assert not shown()
    for on in (True, False):
        assert switch(on).resp == "successful"
        assert shown() is on
    assert refused(lambda: switch(True, NOBODY))[:2] == (404, "DBS.200002")


def test_how_backups_are_made(client: RdsClient, id_: str) -> None:
    config = client.show_backup_config(m.ShowBackupConfigRequest(instance_id=id_))
    assert config.default_backup_method == "PHYSICALBACKUP"

    def change(method: str, instance_id: str = id_) -> None:
        body = m.SetConfigurationRequestBody(default_backup_method=method)
        client.change_backup_config(m.ChangeBackupConfigRequest(instance_id=instance_id, body=body))

    change("PHYSICALBACKUP")
    assert refused(lambda: change("EBACKUP"))[:2] == (409, "DBS.200402")
    assert refused(lambda: change("BY_HAND"))[:2] == (400, "DBS.200001")
    assert refused(lambda: change("PHYSICALBACKUP", NOBODY))[:2] == (404, "DBS.200002")
    encryption = client.query_new_backup_encryption(m.QueryNewBackupEncryptionRequest(instance_id=id_))
    assert encryption.enabled is False
    log = client.show_incre_backup_policy1(m.ShowIncreBackupPolicy1Request(instance_id=id_))
    assert log.incre_backup_policy.interval == 5
    none = client.list_retain_backups(m.ListRetainBackupsRequest(instance_id=id_))
    assert none.total == 0


def test_what_there_is_none_of_is_an_empty_list(client: RdsClient) -> None:
    assert client.list_predefined_tag(m.ListPredefinedTagRequest()).tags == []
    shared = client.list_share_backups(m.ListShareBackupsRequest())
    assert (shared.backups, shared.total) == ([], 0)


def test_a_planned_event_is_called_off(service: ServiceUnderTest, client: RdsClient, id_: str) -> None:
    later = {"restart": {"delay": True}}
    set_window(service, service.instance(id_), begins_in_hours=2)
    planned = service.call("POST", f"instances/{id_}/action", later, headers=fresh()).json()["job_id"]
    listed = client.list_schedule_events(m.ListScheduleEventsRequest(status="SCHEDULED", type="RESTAT_NODE"))
    assert [event.id for event in listed.events] == [planned] and listed.schedule_count == 1
    body = m.OperateEventReq([m.EventInstance(planned, id_)], operation_type="cancel")
    (result,) = client.batch_execute_events(m.BatchExecuteEventsRequest(body=body)).results
    assert (result.id, result.instance_id, result.success) == (planned, id_, True)


# --- tasks of an instance -----------------------------------------------------------------------------------------


def test_the_tasks_of_an_instance_between_two_times(service: ServiceUnderTest, id_: str) -> None:
    now = int(time.time() * 1000)
    week = 7 * 24 * 3_600_000
    path = f"instances/{id_}/tasklist/detail"
    found = service.get(f"{path}?start_time={now - week}")
    created = found["jobs"][-1]
    assert found["count"] == len(found["jobs"]) >= 1
    assert (created["name"], created["status"]) == ("CreatePostgresqlSingleHAInstance", "Completed")
    assert created["instance"] == {"id": id_, "name": "small-calls"}
    assert created["created"] <= created["ended"] and created["process"] == ""
    assert "entities" not in created  # a client that wants a text there fails
    assert service.get(f"{path}?start_time={now - week}&end_time={now + week}") == found
    assert service.get(f"{path}?start_time={now + week}") == {"jobs": [], "count": 0}
    for query in ("", f"?end_time={now}", f"?start_time={now}&end_time={now - 1}"):
        assert service.call("GET", f"{path}{query}").status_code == 400


def test_how_far_a_task_is(client: RdsClient, service: ServiceUnderTest, id_: str) -> None:
    def detail(job_id: str, of: str = id_) -> m.ShowTaskDetailResponse:
        body = m.TaskDetailRequest(workflow_id=job_id, workflow_name="RestartPostgresqlInstance")
        return client.show_task_detail(m.ShowTaskDetailRequest(instance_id=of, body=body))

    wait_for(lambda: service.instance(id_)["status"] == "ACTIVE")
    worker = service.child("worker")
    worker.suspend()
    try:
        action = service.call("POST", f"instances/{id_}/action", {"restart": {}}, headers=fresh()).json()
        running = detail(action["job_id"])
        short = m.ListSimplifiedInstancesRequest(body=m.SimplifiedInstancesRequest([id_]))
        (one,) = client.list_simplified_instances(short).instances
    finally:
        worker.resume()
    assert (running.status, running.process, one.current_actions) == ("Running", "0", [running.job_name])
    assert [step.percent for step in running.sub_task_list] == ["0", "0"]

    service.completed(action["job_id"])
    done = detail(action["job_id"])
    assert (done.instance_id, done.instance_name, done.job_id) == (id_, "small-calls", action["job_id"])
    assert (done.job_name, done.status, done.process) == ("RestartPostgresqlInstance", "Completed", "")
    assert done.created_at <= done.update_at
    assert [step.sub_task_name for step in done.sub_task_list] == ["stop server", "start server"]
    for step in done.sub_task_list:
        assert (step.status, step.percent, step.remaining_time) == ("Completed", "100", "")
        assert int(step.executed_time) >= 0 and step.show_detail is False
    assert refused(lambda: detail(str(NOBODY)))[:2] == (400, "DBS.200543")


# --- the catalogue, and values ------------------------------------------------------------------------------------


def test_versions_of_the_api(client: RdsClient) -> None:
    assert [one.id for one in client.list_api_version(m.ListApiVersionRequest()).versions] == ["v3"]
    newer = client.list_api_version_new(m.ListApiVersionNewRequest()).versions
    assert {"v3": "CURRENT"}.items() <= {one.id: one.status for one in newer}.items()
    shown = client.show_api_version(m.ShowApiVersionRequest(version="v3"))
    assert (shown.version.id, shown.versions.id, shown.version.status) == ("v3", "v3", "CURRENT")
    unknown = m.ShowApiVersionRequest(version="v9")
    assert refused(lambda: client.show_api_version(unknown))[:2] == (404, "APIGW.0101")


def test_minor_versions(client: RdsClient, service: ServiceUnderTest, id_: str) -> None:
    version = service.newest_version()
    request = m.ListSmallVersionRequest(database_name="postgresql", version=version)
    found = client.list_small_version(request)
    (one,) = found.data_stores
    complete = service.instance(id_)["datastore"]["complete_version"]
    assert (one.name, one.favored, found.count) == (complete, True, 1)
    none = client.list_small_version(m.ListSmallVersionRequest(database_name="postgresql", version="1"))
    assert (none.data_stores, none.count) == ([], 0)


def test_flavors_of_a_version_that_is_not_here_are_refused(
    client: RdsClient, service: ServiceUnderTest
) -> None:
    def flavors(version: str, **more: Any) -> list[m.Flavor]:
        request = m.ListFlavorsRequest(database_name="PostgreSQL", version_name=version, **more)
        found: list[m.Flavor] = client.list_flavors(request).flavors
        return found

    version = service.newest_version()
    assert flavors(f"{version}.1") and flavors(version, is_serverless="true") == []
    status, code, message = refused(lambda: flavors("9.4"))
    assert (status, code) == (400, "DBS.200041") and version in message
    groups = {one["group_type"] for one in service.get("flavors/postgresql")["flavors"]}
    assert groups == {"normal", "dedicated"}


def test_passwords_are_weighed(client: RdsClient) -> None:
    def weak(password: str, engine: str = "postgresql") -> bool:
        body = m.CheckWeakPasswordRequest(target=password, engine=engine)
        found: bool = client.check_weakpwd(m.CheckWeakpwdRequest(body=body)).weak
        return found

    assert [weak(one) for one in ("short", "Huawei@123", "Sup3rS3cret-")] == [True, True, False]
    assert refused(lambda: weak("Sup3rS3cret-", "oracle"))[:2] == (400, "DBS.200042")


def test_passwords_and_windows_as_scripts_have_them(
    client: RdsClient, service: ServiceUnderTest, id_: str
) -> None:
    wait_for(lambda: service.instance(id_)["status"] == "ACTIVE")
    for password in ("Test@123", "test_1234", "Huawei@123", "Abc12345!"):
        body = m.PwdResetRequest(db_user_pwd=password)
        assert client.reset_pwd(m.ResetPwdRequest(instance_id=id_, body=body)).status_code == 200
    window = m.OpsWindowRequest("23:00", "00:00")
    client.change_ops_window(m.ChangeOpsWindowRequest(instance_id=id_, body=window))
    assert listed(client, id=id_)[0].maintenance_window == "23:00-00:00"
    short = m.ChangeOpsWindowRequest(instance_id=id_, body=m.OpsWindowRequest("23:00", "23:30"))
    assert refused(lambda: client.change_ops_window(short))[:2] == (400, "DBS.200001")


# --- a standby ----------------------------------------------------------------------------------------------------


def test_a_single_instance_has_no_standby_to_rebuild(client: RdsClient, id_: str) -> None:
    request = m.CreateRebuildSlaveRequest(instance_id=id_)
    assert refused(lambda: client.create_rebuild_slave(request))[:2] == (409, "DBS.280406")
    shown = client.show_rebuild_slave_status(m.ShowRebuildSlaveStatusRequest(instance_id=id_))
    assert (shown.workflow_id, shown.last_rebuild_time, shown.next_rebuild_time) == ("", "", "")


@each_engine()
def test_a_standby_is_rebuilt(sdk: RdsClient, pair: Pair) -> None:
    with pair.session() as session:
        session.execute(pair.dialect.rows("rebuilt", 10))
    (standby,) = [node["id"] for node in pair.shown["nodes"] if node["role"] == "slave"]
    folder = pair.service.data_dir / "nodes" / standby / "data"
    before = folder.stat().st_ino
    next_second()
    answer = sdk.create_rebuild_slave(m.CreateRebuildSlaveRequest(instance_id=pair.id))
    assert answer.instance_id == pair.id
    job = completed(sdk, answer.workflow_id, LONG)
    assert job.name == pair.dialect.task_name("Rebuild{}Slave")
    shown = sdk.show_rebuild_slave_status(m.ShowRebuildSlaveStatusRequest(instance_id=pair.id))
    assert (shown.workflow_id, shown.last_rebuild_time) == (answer.workflow_id, job.created)
    assert folder.stat().st_ino != before, "its data was copied anew"
    wait_for(lambda: pair.service.get(f"instances/{pair.id}/replication/status")["nodes"][0]["streaming"], 60)
    with pair.session() as session:
        session.execute("INSERT INTO rebuilt VALUES (11)")
        assert session.execute("SELECT count(*) FROM rebuilt") == [(11,)]
        session.execute("DROP TABLE rebuilt")
