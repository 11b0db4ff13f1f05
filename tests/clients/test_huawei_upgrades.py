"""The cloud's own Python SDK, unmodified: newer versions of instances."""

from collections.abc import Iterator

import pytest
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkrds.v3 import RdsClient
from huaweicloudsdkrds.v3 import model as m

from openrds.domain.engine import EngineName
from support.engines import found
from support.sdk import completed, connected, listed
from support.service import ServiceUnderTest

pytestmark = [
    pytest.mark.clients,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        len(found(EngineName.POSTGRESQL)) < 2, reason="this host has no two versions of PostgreSQL"
    ),
]


@pytest.fixture
def client(service: ServiceUnderTest) -> Iterator[RdsClient]:
    with connected(service) as client:
        yield client


def refused(client: RdsClient, id_: str, target: str) -> tuple[int, str]:
    body = m.UpgradePgMajorVersion(target, True, "after_change_private_ip")
    with pytest.raises(ClientRequestException) as caught:
        client.upgrade_db_major_version(m.UpgradeDbMajorVersionRequest(id_, body))
    return caught.value.status_code, caught.value.error_code


def test_an_instance_is_checked_and_upgraded(client: RdsClient, service: ServiceUnderTest) -> None:
    oldest, *newer = found(EngineName.POSTGRESQL)
    created = service.create(
        name="to-be-upgraded", datastore={"type": "PostgreSQL", "version": oldest.version}
    )
    id_ = created["id"]
    if oldest.speaks_tls and not newer[-1].speaks_tls:
        request = m.SwitchSslRequest(instance_id=id_, body=m.SslOptionRequest(False))
        completed(client, client.switch_ssl(request).job_id)
    offered = client.show_available_version(m.ShowAvailableVersionRequest(id_)).available_versions
    assert offered == [one.version for one in newer]
    target = offered[-1]

    with pytest.raises(ClientRequestException) as nothing_newer:
        client.upgrade_db_version_new(
            m.UpgradeDbVersionNewRequest(
                instance_id=id_, body=m.CustomerUpgradeDatabaseVersionReqNew(is_delayed=False)
            )
        )
    assert (nothing_newer.value.status_code, nothing_newer.value.error_code) == (400, "DBS.200041")
    assert refused(client, id_, "99") == (400, "DBS.200041")

    body = m.PostgresqlPreCheckUpgradeMajorVersionReq(target)
    request = m.UpgradeDbMajorVersionPreCheckRequest(instance_id=id_, body=body)
    report_id = client.upgrade_db_major_version_pre_check(request).report_id
    assert completed(client, report_id).name == "InspectPostgresqlMajorVersion"
    answer = client.list_inspection_histories(m.ListInspectionHistoriesRequest(id_, is_available=True))
    (report,) = answer.inspection_reports
    assert (answer.total_count, report.id, report.result) == (1, report_id, "success")
    beyond = client.list_inspection_histories(m.ListInspectionHistoriesRequest(id_, offset=9))
    assert (beyond.total_count, beyond.inspection_reports) == (1, [])
    assert (report.target_version, report.detail) == (target, "Nothing hinders it.")
    shown = client.show_upgrade_db_major_version_status(
        m.ShowUpgradeDbMajorVersionStatusRequest(id_, action="check")
    )
    assert (shown.status, shown.check_expiration_time) == ("success", report.expiration_time)

    body = m.UpgradePgMajorVersion(target, True, "after_change_private_ip")
    job_id = client.upgrade_db_major_version(m.UpgradeDbMajorVersionRequest(id_, body)).job_id
    assert completed(client, job_id).name == "UpgradePostgresqlMajorVersion"
    (instance,) = listed(client, id=id_)
    assert (instance.status, instance.datastore.version) == ("ACTIVE", target)
    assert instance.datastore.complete_version == newer[-1].complete_version
    (done,) = client.list_upgrade_histories(m.ListUpgradeHistoriesRequest(id_)).upgrade_reports
    assert (done.result, done.src_database_version, done.dst_database_version) == (
        "success",
        oldest.version,
        target,
    )
    assert client.show_available_version(m.ShowAvailableVersionRequest(id_)).available_versions == []
    assert refused(client, id_, oldest.version) == (400, "DBS.200041")
    service.delete(id_)
