"""Parameters and groups of them, by the cloud's own Python SDK, on a pair of each engine."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkrds.v3 import RdsClient
from huaweicloudsdkrds.v3 import model as m

from openrds.domain.engine import EngineName
from support.pairs import Pair, each_engine
from support.sdk import LONG, completed, ended, next_second, switch_over

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]


@dataclass(frozen=True)
class Choice:
    """Parameters of an engine with a value each: `now` needs no restart, and `later` does.

    `refused` is one that only the server knows to be wrong, `huge` more than any flavor of the tests has memory for.
    """

    now: tuple[str, str]
    threshold: tuple[str, str]
    later: tuple[str, str]
    word: tuple[str, str]
    refused: tuple[str, str]
    huge: tuple[str, str]
    readonly: str
    dangerous: tuple[str, ...]


_BINLOG = Choice(
    now=("sort_buffer_size", "524288"),
    threshold=("long_query_time", "0.25"),
    later=("ft_min_word_len", "3"),
    word=("innodb_default_row_format", "compact"),
    refused=("lc_time_names", "xx_XX"),
    huge=("innodb_buffer_pool_size", str(2**40)),
    readonly="sync_binlog",
    dangerous=(
        "plugin_load_add",
        "plugin_dir",
        "init_file",
        "init_connect",
        "secure_file_priv",
        "datadir",
        "local_infile ",
        "slow_query_log_file",
        "log_bin",
        "super_read_only",
        "sort_buffer_size\nplugin_load",
        "sort_buffer_size = 1, @@GLOBAL.x",
    ),
)
CHOICES = {
    EngineName.POSTGRESQL: Choice(
        now=("work_mem", "8192"),
        threshold=("log_min_duration_statement", "250"),
        later=("max_connections", "150"),
        word=("log_error_verbosity", "verbose"),
        refused=("datestyle", "nonsense"),
        huge=("shared_buffers", "1073741823"),
        readonly="fsync",
        dangerous=(
            "archive_command",
            "restore_command",
            "ssl_passphrase_command",
            "local_preload_libraries",
            "session_preload_libraries",
            "dynamic_library_path",
            "data_directory",
            "listen_addresses",
            "log_directory",
            "jit_provider",
            "work_mem\narchive_command",
            "work_mem = '1' archive_command",
        ),
    ),
    EngineName.MARIADB: _BINLOG,
    EngineName.MYSQL: _BINLOG,
}


@pytest.fixture
def choice(pair: Pair) -> Choice:
    return CHOICES[pair.dialect.engine]


@pytest.fixture
def group(sdk: RdsClient, pair: Pair, choice: Choice) -> Iterator[str]:
    """The id of one that sets what needs no restart."""
    id_ = created(sdk, pair, f"{pair.dialect.engine}-tuned", dict([choice.now]))
    yield id_
    apply_default(sdk, pair)
    sdk.delete_configuration(m.DeleteConfigurationRequest(config_id=id_))


def created(sdk: RdsClient, pair: Pair, name: str, values: dict[str, str]) -> str:
    next_second()
    store = m.ParaGroupDatastore(type=pair.dialect.engine.lower(), version=pair.shown["datastore"]["version"])
    body = m.ConfigurationForCreation(name=name, description="of a test", values=values, datastore=store)
    made = sdk.create_configuration(m.CreateConfigurationRequest(body=body)).configuration
    assert (made.name, made.datastore_name) == (name, pair.dialect.engine.lower())
    id_: str = made.id
    return id_


def default_group(sdk: RdsClient, pair: Pair) -> m.ConfigurationSummary:
    store = pair.shown["datastore"]
    (found,) = [
        one
        for one in sdk.list_configurations(m.ListConfigurationsRequest()).configurations
        if not one.user_defined
        and (one.datastore_name, one.datastore_version_name) == (store["type"].lower(), store["version"])
    ]
    return found


def apply(sdk: RdsClient, config_id: str, *instance_ids: str) -> m.EnableConfigurationResponse:
    next_second()
    body = m.ApplyConfigurationRequest(instance_ids=list(instance_ids))
    return sdk.enable_configuration(m.EnableConfigurationRequest(config_id=config_id, body=body))


def apply_default(sdk: RdsClient, pair: Pair) -> None:
    answer = apply(sdk, default_group(sdk, pair).id, pair.id)
    assert answer.success
    if answer.apply_results[0].restart_required:
        restart(sdk, pair)


def restart(sdk: RdsClient, pair: Pair) -> m.GetJobInfoResponseBodyJob:
    next_second()
    body = m.InstanceRestartRequsetBody(restart=m.RestartConfiguration())
    request = m.StartInstanceRestartActionRequest(instance_id=pair.id, body=body)
    return ended(sdk, sdk.start_instance_restart_action(request).job_id, LONG)


def set_values(sdk: RdsClient, pair: Pair, values: dict[str, str]) -> bool:
    next_second()
    body = m.UpdateInstanceConfigurationRequestBody(values=values)
    request = m.UpdateInstanceConfigurationRequest(instance_id=pair.id, body=body)
    required: bool = sdk.update_instance_configuration(request).restart_required
    return required


def shown(sdk: RdsClient, pair: Pair) -> dict[str, m.ConfigurationParameter]:
    answer = sdk.show_instance_configuration(m.ShowInstanceConfigurationRequest(instance_id=pair.id))
    assert answer.datastore_name == pair.dialect.engine.lower()
    return {one.name: one for one in answer.configuration_parameters}


def in_force(pair: Pair, name: str) -> str:
    """What a client sees."""
    with pair.session() as client:
        if pair.dialect.engine is EngineName.POSTGRESQL:
            ((value,),) = client.execute(f"SELECT setting FROM pg_settings WHERE lower(name) = '{name}'")
        else:
            ((value,),) = client.execute(f"SELECT @@GLOBAL.{name}")
    return str(value)


def refused(call: Any) -> tuple[int, str, str]:
    with pytest.raises(ClientRequestException) as caught:
        call()
    return caught.value.status_code, caught.value.error_code, caught.value.error_msg


@each_engine()
def test_what_needs_no_restart_is_in_force_when_it_is_answered(
    sdk: RdsClient, pair: Pair, choice: Choice
) -> None:
    values = dict([choice.now, choice.threshold, choice.word])
    assert set_values(sdk, pair, values) is False
    for name, value in values.items():
        assert float_or_text(in_force(pair, name)) == float_or_text(value)
        assert float_or_text(shown(sdk, pair)[name].value) == float_or_text(value)
    apply_default(sdk, pair)
    assert float_or_text(in_force(pair, choice.now[0])) != float_or_text(choice.now[1])


def float_or_text(value: str) -> float | str:
    try:
        return float(value)
    except ValueError:
        return value


@each_engine()
def test_what_needs_a_restart_says_so_until_then(sdk: RdsClient, pair: Pair, choice: Choice) -> None:
    name, value = choice.later
    before = in_force(pair, name)
    assert shown(sdk, pair)[name].restart_required is True
    next_second()
    body = m.UpdateInstanceConfigurationRequestBody(values={name: value})
    request = m.UpdateInstanceConfigurationAsyncRequest(instance_id=pair.id, body=body)
    answer = sdk.update_instance_configuration_async(request)
    assert answer.restart_required is True
    assert completed(sdk, answer.job_id).name == pair.dialect.task_name("Modify{}Configuration")
    assert (in_force(pair, name), shown(sdk, pair)[name].value) == (before, value)
    assert set_values(sdk, pair, dict([choice.now])) is True, "the other still waits for a restart"
    assert restart(sdk, pair).status == "Completed"
    assert in_force(pair, name) == value
    assert set_values(sdk, pair, dict([choice.now])) is False
    completed(sdk, switch_over(sdk, pair.id).workflow_id, LONG)
    assert in_force(pair, name) == value, "the standby has it too"
    histories = sdk.list_instance_param_histories(m.ListInstanceParamHistoriesRequest(instance_id=pair.id))
    assert name in [one.parameter_name for one in histories.histories if one.applied]
    beyond = m.ListInstanceParamHistoriesRequest(instance_id=pair.id, offset=1000)
    empty = sdk.list_instance_param_histories(beyond)
    assert (empty.histories, empty.total_count) == ([], histories.total_count)
    apply_default(sdk, pair)
    assert in_force(pair, name) == before


@each_engine()
def test_what_the_server_does_not_take_is_taken_back(sdk: RdsClient, pair: Pair, choice: Choice) -> None:
    name, value = choice.refused
    before = in_force(pair, name)
    next_second()
    body = m.UpdateInstanceConfigurationRequestBody(values={name: value, **dict([choice.now])})
    request = m.UpdateInstanceConfigurationAsyncRequest(instance_id=pair.id, body=body)
    job = ended(sdk, sdk.update_instance_configuration_async(request).job_id)
    assert job.status == "Failed" and name in job.fail_reason
    assert in_force(pair, name) == before
    assert in_force(pair, choice.now[0]) != choice.now[1]
    assert shown(sdk, pair)[name].value != value
    assert refused(lambda: set_values(sdk, pair, {name: value}))[:2] == (400, "DBS.212011")


@each_engine()
def test_wrong_values_are_refused(sdk: RdsClient, pair: Pair, choice: Choice) -> None:
    def code(name: str, value: str) -> tuple[int, str]:
        return refused(lambda: set_values(sdk, pair, {name: value}))[:2]

    number = choice.now[0]
    assert code(number, "many") == (400, "DBS.212017")
    assert code(number, "99999999999999999999") == (400, "DBS.280271")
    assert code(choice.word[0], "no-such-word") == (400, "DBS.212017")
    assert code(choice.readonly, "0") == (400, "DBS.212017")
    for attack in ("1\nport = 1", "1\r[mysqld]", "1'; x", '1" y', "1\\", "1\0", "ä"):
        assert code(number, attack)[1] in {"DBS.212017", "DBS.200001"}
        assert code(choice.refused[0], attack if "\n" in attack else attack + "\n")[0] == 400
    for name in (*choice.dangerous, "no_such_parameter", ""):
        assert code(name, "1") == (400, "DBS.212012"), name
    status, error, message = refused(lambda: set_values(sdk, pair, dict([choice.huge])))
    assert (status, error) == (400, "DBS.280271") and "MB of memory" in message
    assert set_values(sdk, pair, dict([choice.now])) is False
    apply_default(sdk, pair)


@each_engine()
def test_a_group_is_made_applied_and_removed(sdk: RdsClient, pair: Pair, choice: Choice, group: str) -> None:
    name, value = choice.now
    answer = apply(sdk, group, pair.id)
    assert (answer.success, answer.apply_results[0].restart_required) == (True, False)
    assert float_or_text(in_force(pair, name)) == float_or_text(value)
    next_second()
    body = m.ApplyConfigurationRequest(instance_ids=[pair.id])
    by_task = sdk.apply_configuration_async(m.ApplyConfigurationAsyncRequest(config_id=group, body=body))
    assert by_task.success
    assert completed(sdk, by_task.job_id).name == pair.dialect.task_name("Apply{}Configuration")
    one_of_them = m.ShowPostgresqlParamValueRequest(instance_id=pair.id, name=name)
    assert sdk.show_postgresql_param_value(one_of_them).value == value
    shown_group = sdk.show_configuration(m.ShowConfigurationRequest(config_id=group))
    (one,) = [one for one in shown_group.configuration_parameters if one.name == name]
    assert (one.value, one.readonly) == (value, False)
    history, _ = sdk.list_configuration_apply_histories(
        m.ListConfigurationApplyHistoriesRequest(config_id=group)
    ).histories
    assert (history.instance_id, history.apply_result) == (pair.id, "SUCCESS")
    beyond = m.ListConfigurationApplyHistoriesRequest(config_id=group, offset=1000)
    assert sdk.list_configuration_apply_histories(beyond).total_count == 2
    delete = m.DeleteConfigurationRequest(config_id=group)
    assert refused(lambda: sdk.delete_configuration(delete))[1] == "DBS.212032"
    candidates = sdk.list_instances_configurations(m.ListInstancesConfigurationsRequest(config_id=group))
    assert pair.id in [one.entity_id for one in candidates.entities]


@each_engine()
def test_groups_are_copied_compared_changed_and_reset(
    sdk: RdsClient, pair: Pair, choice: Choice, group: str
) -> None:
    default = default_group(sdk, pair)
    body = m.ConfigurationCopyRequestBody(name=f"{pair.dialect.engine}-copy", description="")
    copy = sdk.copy_configuration(m.CopyConfigurationRequest(config_id=group, body=body))

    def differences() -> list[str]:
        next_second()
        pair_of = m.CompareConfigurationRequestBody(source_id=default.id, target_id=copy.id)
        answer = sdk.compare_configuration(m.CompareConfigurationRequest(body=pair_of))
        return [one.name for one in answer.parameters]

    assert differences() == [choice.now[0]]
    change = m.ConfigurationForUpdate(name=f"{pair.dialect.engine}-other", values=dict([choice.word]))
    sdk.update_configuration(m.UpdateConfigurationRequest(config_id=copy.id, body=change))
    assert differences() == sorted([choice.now[0], choice.word[0]])
    sdk.reset_configuration(m.ResetConfigurationRequest(config_id=copy.id))
    assert differences() == []
    sdk.delete_configuration(m.DeleteConfigurationRequest(config_id=copy.id))
    show = m.ShowConfigurationRequest(config_id=copy.id)
    assert refused(lambda: sdk.show_configuration(show))[:2] == (404, "DBS.212001")
    delete = m.DeleteConfigurationRequest(config_id=default.id)
    assert refused(lambda: sdk.delete_configuration(delete))[:2] == (400, "DBS.212003")
