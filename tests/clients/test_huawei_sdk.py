"""The cloud's own Python SDK, `huaweicloudsdkrds`, unmodified: the life of an instance, and what goes wrong."""

import datetime as dt
import ipaddress
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException, SdkException
from huaweicloudsdkcore.region.region import Region
from huaweicloudsdkrds.v3 import RdsClient
from huaweicloudsdkrds.v3 import model as m

from support.sdk import completed, connected, creation, job_of, listed, next_second
from support.service import PASSWORD, ServiceUnderTest

pytestmark = pytest.mark.clients

CREATED = "CreatePostgresqlSingleHAInstance"
RESTARTED = "RestartPostgresqlInstance"


def create(
    client: RdsClient, service: ServiceUnderTest, name: str, token: str | None = None
) -> m.CreateInstanceResponse:
    body = creation(
        service.create_body(name=name),
        backup_strategy=m.BackupStrategy(start_time="03:00-04:00", keep_days=5),
        tags=[m.TagWithKeyValue("team", "orders")],
    )
    return client.create_instance(m.CreateInstanceRequest(x_client_token=token, body=body))


def restarted(client: RdsClient, instance_id: str) -> m.GetJobInfoResponseBodyJob:
    """The completed job of a restart."""
    next_second()
    body = m.InstanceRestartRequsetBody(restart=m.RestartConfiguration())
    action = m.StartInstanceRestartActionRequest(instance_id=instance_id, body=body)
    return completed(client, client.start_instance_restart_action(action).job_id)


def refused(call: Callable[[], Any]) -> ClientRequestException:
    with pytest.raises(ClientRequestException) as caught:
        call()
    assert caught.value.request_id and caught.value.error_msg
    return caught.value


@pytest.fixture(scope="module")
def client(service: ServiceUnderTest) -> Iterator[RdsClient]:
    with connected(service) as client:
        yield client


@pytest.fixture(scope="module")
def created(client: RdsClient, service: ServiceUnderTest) -> Iterator[m.CreateInstanceResponse]:
    """The answer to a creation that has completed."""
    answer = create(client, service, "sdk-shared")
    completed(client, answer.job_id)
    yield answer
    deleted = client.delete_instance(m.DeleteInstanceRequest(instance_id=answer.instance.id))
    completed(client, deleted.job_id)


@pytest.fixture
def instance_id(created: m.CreateInstanceResponse) -> str:
    return created.instance.id


def tasks(client: RdsClient, **filters: Any) -> m.ListTasksResponse:
    return client.list_tasks(m.ListTasksRequest(**filters))


def milliseconds(text: str) -> int:
    return int(dt.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z").timestamp() * 1000)


# --- the life of an instance -----------------------------------------------------------------------------


def test_an_instance_is_created_restarted_and_deleted(client: RdsClient, service: ServiceUnderTest) -> None:
    answer = create(client, service, "sdk-life")
    assert answer.status_code == 202
    assert (answer.instance.name, answer.instance.status, answer.instance.port) == (
        "sdk-life",
        "BUILD",
        "5432",
    )

    job = completed(client, answer.job_id)
    assert (job.id, job.name) == (answer.job_id, CREATED)
    assert (job.instance.id, job.instance.name) == (answer.instance.id, "sdk-life")
    (one,) = listed(client, id=answer.instance.id)
    assert job.entities.instance.endpoint == f"{one.private_ips[0]}:{one.port}"
    assert job.entities.instance.type == "Single"
    assert job.entities.instance.datastore.type == "postgresql"
    assert job.entities.instance.datastore.version == service.newest_version()
    assert job.entities.resource_ids == [f"{one.id}.vm", f"{one.id}.volume"]

    restart = restarted(client, one.id)
    assert restart.name == RESTARTED
    assert set(restart.entities.to_dict().values()) == {None}
    assert listed(client, id=one.id)[0].status == "ACTIVE"

    removal = client.delete_instance(m.DeleteInstanceRequest(instance_id=one.id))
    assert completed(client, removal.job_id).name == "DeletePostgresqlInstance"
    assert listed(client, id=one.id) == []
    assert job_of(client, answer.job_id).status == "Completed"


def test_a_volume_is_enlarged(client: RdsClient, instance_id: str) -> None:
    body = m.EnlargeVolumeRequestBody(m.EnlargeVolumeObject(size=80))
    answer = client.start_instance_enlarge_volume_action(
        m.StartInstanceEnlargeVolumeActionRequest(instance_id=instance_id, body=body)
    )
    assert answer.status_code == 202

    job = completed(client, answer.job_id)
    assert job.name == "EnlargePostgresqlVolume"
    assert (job.entities.volume.original_size, job.entities.volume.target_size) == ("40", "80")
    assert job.entities.resource_ids == [f"{instance_id}.volume"]
    assert listed(client, id=instance_id)[0].volume.size == 80
    again = refused(
        lambda: client.start_instance_enlarge_volume_action(
            m.StartInstanceEnlargeVolumeActionRequest(
                instance_id=instance_id, body=m.EnlargeVolumeRequestBody(m.EnlargeVolumeObject(size=70))
            )
        )
    )
    assert (again.status_code, again.error_code) == (400, "DBS.200306")
    used = client.show_storage_used_space(m.ShowStorageUsedSpaceRequest(instance_id=instance_id))
    assert used.node_id and float(used.used) >= 0
    policy = client.show_auto_enlarge_policy(m.ShowAutoEnlargePolicyRequest(instance_id=instance_id))
    assert policy.switch_option is False


def test_a_flavor_is_changed(client: RdsClient, instance_id: str) -> None:
    offered = client.list_engine_flavors(
        m.ListEngineFlavorsRequest(instance_id=instance_id, spec_code_like="large", limit=1)
    )
    (flavor,) = offered.optional_flavors
    assert offered.total_count > 1
    answer = client.start_resize_flavor_action(
        m.StartResizeFlavorActionRequest(
            instance_id=instance_id, body=m.ResizeFlavorRequest(m.ResizeFlavorObject(flavor.spec_code))
        )
    )
    assert answer.status_code == 202

    assert completed(client, answer.job_id).name == "ResizePostgresqlFlavor"
    one = listed(client, id=instance_id)[0]
    assert (one.status, one.flavor_ref, one.cpu) == ("ACTIVE", flavor.spec_code, flavor.vcpus)


def test_a_restart_waits_for_the_maintenance_window(client: RdsClient, instance_id: str) -> None:
    window = maintenance_window(5)
    client.change_ops_window(m.ChangeOpsWindowRequest(instance_id=instance_id, body=window))
    body = m.InstanceRestartRequsetBody(restart=m.RestartConfiguration(delay=True))
    action = m.StartInstanceRestartActionRequest(instance_id=instance_id, body=body)
    id_ = client.start_instance_restart_action(action).job_id
    listed = client.list_schedule_tasks(m.ListScheduleTasksRequest(instance_id=instance_id, status="Pending"))
    (task,) = listed.schedule_tasks
    assert (task.id, task.name, listed.total_count) == (id_, "REBOOT", 1)
    assert job_of(client, id_).status == "Running"


def test_the_record_of_a_job_is_deleted(client: RdsClient, instance_id: str) -> None:
    job_id = restarted(client, instance_id).id
    assert client.delete_job(m.DeleteJobRequest(id=job_id)).status_code == 200
    error = refused(lambda: job_of(client, job_id))
    assert (error.status_code, error.error_code) == (400, "DBS.200543")
    assert tasks(client, id=job_id).tasks == []


def test_a_client_token_used_twice_creates_one_instance(client: RdsClient, service: ServiceUnderTest) -> None:
    token = str(uuid.uuid4())
    first = create(client, service, "sdk-token", token)
    next_second()  # a later date is another signature: the token alone tells that the call is the same
    second = create(client, service, "sdk-token", token)
    assert (second.instance.id, second.job_id) == (first.instance.id, first.job_id)
    assert [one.id for one in listed(client, name="sdk-token")] == [first.instance.id]
    completed(client, first.job_id)
    completed(client, client.delete_instance(m.DeleteInstanceRequest(instance_id=first.instance.id)).job_id)


def test_the_address_is_changed(client: RdsClient, instance_id: str) -> None:
    (old,) = listed(client, id=instance_id)[0].private_ips
    body = m.DataIpRequest(new_ip=str(ipaddress.IPv4Address(old) + 30))
    answer = client.update_data_ip(m.UpdateDataIpRequest(instance_id=instance_id, body=body))
    assert completed(client, answer.workflow_id).name == "ModifyPostgresqlDataIP"
    assert listed(client, id=instance_id)[0].private_ips == [body.new_ip]


def test_the_port_is_changed(client: RdsClient, instance_id: str) -> None:
    for port in (5678, 5432):
        next_second()
        body = m.UpdateDbPortRequest(port=port)
        answer = client.update_port(m.UpdatePortRequest(instance_id=instance_id, body=body))
        assert completed(client, answer.workflow_id).name == "ModifyPostgresqlPort"
        assert listed(client, id=instance_id)[0].port == port


def test_an_instance_is_stopped_and_started(client: RdsClient, instance_id: str) -> None:
    body = m.BatchShutdownInsReq(instance_ids=[instance_id])
    (record,) = client.batch_stop_instance(m.BatchStopInstanceRequest(body=body)).records
    assert completed(client, record.job_id).name == "StopPostgresqlInstance"
    assert listed(client, id=instance_id)[0].status == "SHUTDOWN"
    answer = client.startup_instance(m.StartupInstanceRequest(instance_id=instance_id))
    assert completed(client, answer.job_id).name == "StartPostgresqlInstance"
    assert listed(client, id=instance_id)[0].status == "ACTIVE"
    completed(client, client.stop_instance(m.StopInstanceRequest(instance_id=instance_id)).job_id)
    next_second()
    answer = client.startup_instance(m.StartupInstanceRequest(instance_id=instance_id))
    completed(client, answer.job_id)


def test_a_public_address_is_bound_and_unbound(
    client: RdsClient, service: ServiceUnderTest, instance_id: str
) -> None:
    """The SDK expects no body, and what it does not know of an answer it leaves out: the task is in the list."""
    public = service.get(f"/v1/{service.project_id}/publicips?status=DOWN")["publicips"][-1]
    given = {"public_ip": public["public_ip_address"], "public_ip_id": public["id"]}
    for is_bind, name in ((True, "PostgresqlBindEIP"), (False, "PostgresqlUnbindEIP")):
        next_second()
        body = m.BindEipRequest(is_bind=is_bind, **given)
        try:
            client.attach_eip(m.AttachEipRequest(instance_id=instance_id, body=body))
        except ClientRequestException as error:
            if "cannot pass connections on" in error.error_msg:
                pytest.skip(error.error_msg)
            raise
        (task,) = tasks(client, instance_id=instance_id, name=name).tasks
        completed(client, task.id)
        shown = listed(client, id=instance_id)[0].public_ips
        assert shown == ([given["public_ip"]] if is_bind else [])


def test_a_single_instance_becomes_a_pair_and_is_switched_over(
    client: RdsClient, service: ServiceUnderTest
) -> None:
    answer = create(client, service, "sdk-pair")
    id_ = answer.instance.id
    completed(client, answer.job_id)
    zone = m.Single2HaObject(az_code_new_node="local-1a")
    request = m.StartInstanceSingleToHaActionRequest(instance_id=id_, body=m.Single2Ha(single_to_ha=zone))
    try:
        answer = client.start_instance_single_to_ha_action(request)
    except ClientRequestException as error:
        if "no means to pass an endpoint on" in error.error_msg:
            pytest.skip(error.error_msg)
        raise
    assert completed(client, answer.job_id).name == "ModifyPostgresqlSingleToHAInstance"
    pair = listed(client, id=id_)[0]
    assert (pair.type, pair.ha.replication_mode, pair.switch_strategy) == ("Ha", "async", "reliability")
    mode = client.change_failover_mode(
        m.ChangeFailoverModeRequest(instance_id=id_, body=m.FailoverModeRequest(mode="sync"))
    )
    assert mode.replication_mode == "sync"
    completed(client, mode.workflow_id)
    strategy = m.FailoverStrategyRequest(repair_strategy="availability")
    client.change_failover_strategy(m.ChangeFailoverStrategyRequest(instance_id=id_, body=strategy))
    (standby,) = (node.id for node in pair.nodes if node.role == "slave")
    switched = client.start_failover(m.StartFailoverRequest(instance_id=id_, body=m.FailoverRequest()))
    assert (switched.instance_id, switched.node_id) == (id_, standby)
    assert completed(client, switched.workflow_id).name == "SwitchoverPostgresqlInstance"
    pair = listed(client, id=id_)[0]
    assert [node.id for node in pair.nodes if node.role == "master"] == [standby]
    assert (pair.ha.replication_mode, pair.switch_strategy) == ("sync", "availability")
    completed(client, client.delete_instance(m.DeleteInstanceRequest(instance_id=id_)).job_id)


# --- lists -------------------------------------------------------------------------------------------------


def test_instances_are_filtered(client: RdsClient, instance_id: str) -> None:
    (one,) = listed(client, id=instance_id)
    assert (one.name, one.status, one.type) == ("sdk-shared", "ACTIVE", "Single")
    assert one.port == 5432 and one.enable_ssl is False
    assert [(tag.key, tag.value) for tag in one.tags] == [("team", "orders")]
    for filters in (
        {"name": "sdk-shared"},
        {"name": "*sdk-sha"},
        {"type": "Single"},
        {"datastore_type": "PostgreSQL"},
        {"vpc_id": one.vpc_id},
        {"subnet_id": one.subnet_id},
        {"eps_id": "0"},
        {"tags": "team=orders"},
    ):
        assert instance_id in [found.id for found in listed(client, **filters)], filters
    for filters in (
        {"name": "sdk-share"},
        {"type": "Ha"},
        {"datastore_type": "MySQL"},
        {"vpc_id": "other"},
        {"subnet_id": "other"},
        {"eps_id": "other"},
        {"tags": "team=other"},
        {"group_type": "flexus"},
        {"id": "sdk-shared"},
        {"offset": 1000},
    ):
        assert instance_id not in [found.id for found in listed(client, **filters)], filters


@pytest.mark.parametrize("field", ["id", "instance_id", "name", "status"])
def test_tasks_are_filtered_by_value(
    client: RdsClient, created: m.CreateInstanceResponse, field: str
) -> None:
    (wanted,) = tasks(client, id=created.job_id).tasks
    value = getattr(wanted, field)
    found = tasks(client, **{field: value}, limit=50)
    assert created.job_id in [task.id for task in found.tasks]
    assert {getattr(task, field) for task in found.tasks} == {value}
    assert found.total_count == len(found.tasks)
    assert set(found.actions) == {task.name for task in found.tasks}


@pytest.mark.parametrize(
    "filters",
    [
        {"id": "00000000-0000-4000-8000-000000000000"},
        {"id": "no-such-task"},
        {"instance_id": "no-such-instance"},
        {"order_id": "CS2506041000FOJXC"},
        {"name": "CreatePostgresqlSingleHA"},
        {"start_time": "1747919701390", "end_time": "1748524501390"},
    ],
    ids=lambda filters: next(iter(filters)),
)
def test_tasks_that_do_not_match_are_not_listed(
    client: RdsClient, created: m.CreateInstanceResponse, filters: dict
) -> None:
    found = tasks(client, **filters)
    assert (found.tasks, found.actions, found.total_count) == ([], [], 0)


def test_tasks_are_filtered_by_their_creation_time(
    client: RdsClient, created: m.CreateInstanceResponse
) -> None:
    (wanted,) = tasks(client, id=created.job_id).tasks
    second = milliseconds(wanted.create_time)
    within = tasks(client, start_time=str(second), end_time=str(second + 1000), limit=50)
    assert created.job_id in [task.id for task in within.tasks]
    assert all(second <= milliseconds(task.create_time) <= second + 1000 for task in within.tasks)
    for window in (
        {"start_time": str(second + 1000), "end_time": str(second + 3_600_000)},
        {"start_time": str(second - 3_600_000), "end_time": str(second - 1)},
        {"end_time": str(second - 1)},
    ):
        assert created.job_id not in [task.id for task in tasks(client, **window, limit=50).tasks], window


def test_all_filters_of_tasks_must_match(client: RdsClient, created: m.CreateInstanceResponse) -> None:
    both = tasks(client, id=created.job_id, instance_id=created.instance.id, name=CREATED, status="Completed")
    assert [task.id for task in both.tasks] == [created.job_id]
    assert tasks(client, id=created.job_id, status="Failed").tasks == []


def test_tasks_are_paged(client: RdsClient, instance_id: str) -> None:
    restarted(client, instance_id)
    everything = tasks(client, instance_id=instance_id, limit=50)
    ids = [task.id for task in everything.tasks]
    assert len(ids) == everything.total_count >= 2
    paged = [tasks(client, instance_id=instance_id, limit=1, offset=at) for at in range(len(ids))]
    assert [task.id for page in paged for task in page.tasks] == ids
    assert {(page.total_count, *page.actions) for page in paged} == {(len(ids), *everything.actions)}
    beyond = tasks(client, instance_id=instance_id, offset=len(ids))
    assert (beyond.tasks, beyond.total_count) == ([], len(ids))


# --- the catalogue, and small changes -----------------------------------------------------------------------


def test_the_catalogue_is_read(client: RdsClient, service: ServiceUnderTest) -> None:
    version = service.newest_version()
    stores = client.list_datastores(m.ListDatastoresRequest(database_name="PostgreSQL"))
    assert version in [store.name for store in stores.data_stores]
    flavors = client.list_flavors(
        m.ListFlavorsRequest(database_name="postgresql", version_name=version)
    ).flavors
    (flavor,) = [flavor for flavor in flavors if flavor.spec_code == "rds.pg.n1.medium.2"]
    assert (flavor.vcpus, flavor.instance_mode) == ("1", "single")
    assert isinstance(flavor.ram, int) and version in flavor.version_name
    assert flavor.az_status == {"local-1a": "normal"}
    request = m.ListStorageTypesRequest(database_name="PostgreSQL", version_name=version, ha_mode="single")
    assert "CLOUDSSD" in [storage.name for storage in client.list_storage_types(request).storage_type]


def test_quotas_count_instances(client: RdsClient, created: m.CreateInstanceResponse) -> None:
    quota, *_ = client.show_quotas(m.ShowQuotasRequest()).quotas.resources
    assert (quota.type, quota.quota) == ("instance", 50)
    assert 1 <= quota.used <= quota.quota


def test_names_are_changed(client: RdsClient, instance_id: str) -> None:
    for name in ("sdk-renamed", "sdk-shared"):
        body = m.ModifiyInstanceNameRequest(name=name)
        client.update_instance_name(m.UpdateInstanceNameRequest(instance_id=instance_id, body=body))
        assert listed(client, id=instance_id)[0].name == name
    for alias in ("the.orders_db", ""):
        body = m.UpdateRdsInstanceAliasRequest(alias=alias)
        client.update_instance_alias(m.UpdateInstanceAliasRequest(instance_id=instance_id, body=body))
        assert listed(client, id=instance_id)[0].alias == alias


def maintenance_window(begins_in_hours: int) -> m.OpsWindowRequest:
    """What waits for it does not begin while other tests use the instance, whatever time it is."""
    begin = dt.datetime.now(dt.UTC) + dt.timedelta(hours=begins_in_hours)
    return m.OpsWindowRequest(f"{begin:%H}:00", f"{begin + dt.timedelta(hours=4):%H}:00")


def test_windows_are_changed(client: RdsClient, instance_id: str) -> None:
    window = maintenance_window(6)
    client.change_ops_window(m.ChangeOpsWindowRequest(instance_id=instance_id, body=window))
    policy = m.BackupPolicy(keep_days=9, start_time="19:00-20:00", period="1,3")
    change = m.SetBackupPolicyRequestBody(backup_policy=policy)
    client.set_backup_policy(m.SetBackupPolicyRequest(instance_id=instance_id, body=change))
    (one,) = listed(client, id=instance_id)
    assert one.maintenance_window == f"{window.start_time}-{window.end_time}"
    assert (one.backup_strategy.start_time, one.backup_strategy.keep_days) == ("19:00-20:00", 9)
    kept = client.show_backup_policy(m.ShowBackupPolicyRequest(instance_id=instance_id)).backup_policy
    assert (kept.keep_days, kept.start_time, kept.period) == (9, "19:00-20:00", "1,3")


def test_the_password_is_changed(client: RdsClient, instance_id: str) -> None:
    for password in ("An0ther-Secret", PASSWORD):
        body = m.PwdResetRequest(db_user_pwd=password)
        answer = client.reset_pwd(m.ResetPwdRequest(instance_id=instance_id, body=body))
        assert answer.status_code == 200
    weak = m.ResetPwdRequest(instance_id=instance_id, body=m.PwdResetRequest(db_user_pwd="short"))
    error = refused(lambda: client.reset_pwd(weak))
    assert (error.status_code, error.error_code) == (400, "DBS.200052")


def test_tags_are_changed(client: RdsClient, instance_id: str) -> None:
    def keys() -> dict[str, str]:
        found = client.list_instance_tags(m.ListInstanceTagsRequest(instance_id=instance_id))
        return {tag.key: tag.value for tag in found.tags}

    add = m.BatchTagActionAddRequestBody(action="create", tags=[m.TagWithKeyValue("stage", "test")])
    client.batch_tag_add_action(m.BatchTagAddActionRequest(instance_id=instance_id, body=add))
    assert keys() == {"team": "orders", "stage": "test"}
    in_project = client.list_project_tags(m.ListProjectTagsRequest()).tags
    assert {tag.key: tag.values for tag in in_project}["stage"] == ["test"]
    remove = m.BatchTagActionDelRequestBody(action="delete", tags=[m.TagDelWithKeyValue("stage")])
    client.batch_tag_del_action(m.BatchTagDelActionRequest(instance_id=instance_id, body=remove))
    assert keys() == {"team": "orders"}


# --- who calls, and what is refused --------------------------------------------------------------------------


@pytest.fixture
def without_project(service: ServiceUnderTest, monkeypatch: pytest.MonkeyPatch) -> BasicCredentials:
    """Keys alone, and no memory of the project that they were found to belong to."""
    monkeypatch.setattr(BasicCredentials, "_CACHE", {})
    return BasicCredentials(service.credentials["access_key"], service.credentials["secret_key"])


@contextmanager
def in_region(credentials: BasicCredentials, region: Region) -> Iterator[RdsClient]:
    client = RdsClient.new_builder().with_credentials(credentials).with_region(region).build()
    try:
        yield client
    finally:
        client.get_http_client().close()


@pytest.mark.parametrize("by", ["environment", "credentials"])
def test_the_project_is_looked_up_by_the_region(
    service: ServiceUnderTest, without_project: BasicCredentials, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    if by == "environment":
        monkeypatch.setenv("HUAWEICLOUD_SDK_IAM_ENDPOINT", service.endpoint)
    else:
        without_project.with_iam_endpoint(service.endpoint)
    with in_region(without_project, Region(service.credentials["region"], service.endpoint)) as client:
        assert without_project.project_id == service.project_id
        assert tasks(client).total_count is not None


@pytest.mark.filterwarnings(
    "ignore:unclosed <socket:ResourceWarning"
)  # the SDK fails before it gives its client
def test_a_region_without_a_project_is_not_found(
    service: ServiceUnderTest, without_project: BasicCredentials
) -> None:
    without_project.with_iam_endpoint(service.endpoint)
    region = Region("no-such-region", service.endpoint)
    with pytest.raises(SdkException) as caught, in_region(without_project, region):
        pass
    assert "project" in caught.value.error_msg


@pytest.mark.parametrize(
    "wrong", [{"ak": "NOSUCHACCESSKEY00001"}, {"sk": "not-the-secret-key"}], ids=["ak", "sk"]
)
def test_wrong_keys_are_refused(client: RdsClient, service: ServiceUnderTest, wrong: dict[str, str]) -> None:
    with connected(service, **wrong) as other:
        error = refused(lambda: tasks(other))
    assert (error.status_code, error.error_code) == (401, "APIGW.0301")
    assert tasks(client).total_count is not None  # nobody is locked out by one failure


def test_another_project_is_refused(service: ServiceUnderTest) -> None:
    with connected(service, project_id="0" * 32) as other:
        error = refused(lambda: tasks(other))
    assert (error.status_code, error.error_code) == (403, "APIGW.0306")


@pytest.mark.parametrize(
    "job_id", ["a9767ede-fe0f-4888-9003-e843a4c90514", "676e9f17f9b74289883a44a47b8101f5", "x y/é"]
)
def test_an_unknown_job_is_refused(client: RdsClient, job_id: str) -> None:
    for call in (
        lambda: job_of(client, job_id),
        lambda: client.delete_job(m.DeleteJobRequest(id=job_id)),
    ):
        error = refused(call)
        assert (error.status_code, error.error_code) == (400, "DBS.200543")


def test_an_unknown_instance_is_refused(client: RdsClient) -> None:
    unknown = m.DeleteInstanceRequest(instance_id=f"{'0' * 32}in03")
    error = refused(lambda: client.delete_instance(unknown))
    assert (error.status_code, error.error_code) == (404, "DBS.200002")


def test_what_is_wrong_with_a_creation_is_said(client: RdsClient, service: ServiceUnderTest) -> None:
    error = refused(lambda: create(client, service, "1-bad-name"))
    assert (error.status_code, error.error_code) == (400, "DBS.200021")
    assert listed(client, name="1-bad-name") == []
