"""The cloud's own Python SDK, unmodified: the logs of a pair, on each engine."""

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkrds.v3 import RdsClient
from huaweicloudsdkrds.v3 import model as m

from openrds.domain.engine import EngineName
from support.pairs import Pair, each_engine
from support.sdk import next_second
from support.service import wait_for

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]

#: Of a value in a statement, and of a password in one.
_VALUE, _SECRET = "a value of somebody", "Not#For_Readers1"


@pytest.fixture(scope="session")
def slow_pair(pair: Pair) -> Iterator[Pair]:
    """One that has run two slow statements of one kind, a third, and one with a password."""
    seconds = "pg_sleep" if pair.dialect.engine is EngineName.POSTGRESQL else "sleep"
    with pair.session(user="root") as client:
        client.execute("CREATE TABLE slowly (x INT, y VARCHAR(100))")
        for value in (1, 2):
            client.execute(f"SELECT {seconds}(1.{value}), '{_VALUE}'")
        client.execute(f"INSERT INTO slowly (x) SELECT 7 FROM (SELECT {seconds}(1.3) AS s) AS t")
        if pair.dialect.engine is EngineName.POSTGRESQL:
            client.execute(f"SELECT pg_sleep(1.05); CREATE ROLE late PASSWORD '{_SECRET}'")
        else:
            client.execute("SET SESSION long_query_time = 0")
            with suppress(pair.dialect.Error):  # not everybody may; it is logged all the same
                client.execute(f"CREATE USER late IDENTIFIED BY '{_SECRET}'")
            client.execute(f"SELECT 'identified by', '{_SECRET}'")
    yield pair


@each_engine()
def test_a_slow_statement_is_in_the_slow_log_without_its_values(sdk: RdsClient, slow_pair: Pair) -> None:
    inserts = listed_slow(sdk, slow_pair, type="INSERT")
    (insert,) = [one for one in inserts.slow_log_list if "slowly" in one.query_sample]
    assert (insert.type, insert.users, insert.count) == ("INSERT", "root", "1")
    assert insert.database == slow_pair.dialect.database
    assert 1.3 <= float(insert.time.removesuffix(" s")) < 30
    assert "7" not in insert.query_sample and "?" in insert.query_sample
    started = dt.datetime.fromisoformat(f"{insert.start_time}+00:00")
    assert abs(dt.datetime.now(dt.UTC) - started) < dt.timedelta(minutes=10)
    assert insert.client_ip
    answer = str(listed_slow(sdk, slow_pair, limit=100))
    assert _VALUE not in answer and _SECRET not in answer


@each_engine()
def test_pages_of_the_slow_log(sdk: RdsClient, slow_pair: Pair) -> None:
    """Of v3 by pages from 1 on, of v3.1 by rows from 0 on; newest first."""
    pages = [listed_slow(sdk, slow_pair, offset=page, limit=2) for page in (1, 2)]
    total = pages[0].total_record
    assert total >= 4 and len(pages[0].slow_log_list) == len(pages[1].slow_log_list) == 2
    found = [one for page in pages for one in page.slow_log_list]
    times = [one.start_time for one in found]
    assert times == sorted(times, reverse=True)
    begin, end = window()
    rows = sdk.list_slow_logs_new(
        m.ListSlowLogsNewRequest(instance_id=slow_pair.id, start_date=begin, end_date=end, offset=1, limit=3)
    )
    assert rows.slow_log_list == found[1:4]
    assert rows.total_record == total
    assert listed_slow(sdk, slow_pair, offset=total + 1, limit=1).slow_log_list == []
    for wrong in ({"offset": 0}, {"limit": 101}, {"type": "NONSENSE"}):
        refused(lambda wrong=wrong: listed_slow(sdk, slow_pair, **wrong))


@each_engine()
def test_the_cursor_of_the_slow_log(sdk: RdsClient, slow_pair: Pair) -> None:
    """Forwards from the oldest on to the newest, and backwards from there."""

    def page(search: str, after: str = "", **more: Any) -> list[m.MysqlSlowLogDetailsItem]:
        begin, end = window()
        body = m.SlowlogForLtsRequest(
            start_time=begin, end_time=end, line_num=after, limit=2, search_type=search, **more
        )
        answer = sdk.list_slowlog_for_lts(m.ListSlowlogForLtsRequest(instance_id=slow_pair.id, body=body))
        assert answer.long_query_time == "1"
        return answer.slow_log_list or []

    newest = page("backwards")
    last = newest[-1].line_num

    def forwards() -> list[m.MysqlSlowLogDetailsItem]:
        found: list[m.MysqlSlowLogDetailsItem] = []
        while more := page("forwards", found[-1].line_num if found else ""):
            found += more
        return found

    found = wait_for(lambda: [one for one in [forwards()] if one and one[-1].line_num == last], 10)[0]
    numbers = [int(one.line_num) for one in found]
    assert numbers == sorted(set(numbers))
    assert page("backwards", newest[0].line_num) == found[-4:-2]
    assert page("forwards", database="no such database") == []


@each_engine()
def test_statements_of_one_kind_are_counted_together(sdk: RdsClient, slow_pair: Pair) -> None:
    begin, end = window()
    request = m.ListSlowlogStatisticsRequest(
        instance_id=slow_pair.id, cur_page=1, per_page=100, start_date=begin, end_date=end, type="SELECT"
    )
    answer = sdk.list_slowlog_statistics(request)
    (sleeps,) = [one for one in answer.slow_log_list if "sleep(?), ?" in one.query_sample]
    assert (sleeps.count, sleeps.type) == ("2", "SELECT")
    assert 1.1 < float(sleeps.time.removesuffix(" s")) < 30
    body = m.SlowLogStatisticsForLtsRequest(
        start_time=begin, end_time=end, offset=0, limit=100, sort="executeTime", order="asc"
    )
    flat = sdk.list_slow_log_statistics_for_lts(
        m.ListSlowLogStatisticsForLtsRequest(instance_id=slow_pair.id, body=body)
    )
    seconds = [float(one.time.removesuffix(" s")) for one in flat.slow_log_list]
    assert seconds == sorted(seconds) and flat.total_count == len(seconds)


@each_engine()
def test_values_are_shown_to_who_wants_them_and_passwords_to_nobody(sdk: RdsClient, slow_pair: Pair) -> None:
    next_second()
    sdk.set_sensitive_slow_log(m.SetSensitiveSlowLogRequest(instance_id=slow_pair.id, status="on"))
    answer = str(listed_slow(sdk, slow_pair, limit=100))
    assert _VALUE in answer and _SECRET not in answer
    next_second()
    sdk.set_sensitive_slow_log(m.SetSensitiveSlowLogRequest(instance_id=slow_pair.id, status="off"))
    assert _VALUE not in str(listed_slow(sdk, slow_pair, limit=100))
    refused(
        lambda: sdk.set_sensitive_slow_log(
            m.SetSensitiveSlowLogRequest(instance_id=slow_pair.id, status="maybe")
        )
    )


@each_engine()
def test_logs_are_downloaded_by_who_has_a_link(sdk: RdsClient, slow_pair: Pair) -> None:
    files = sdk.list_slow_log_file(m.ListSlowLogFileRequest(instance_id=slow_pair.id))
    assert files.total_count == len(files.list) > 0
    next_second()
    body = m.SlowlogDownloadRequest()
    answer = sdk.download_slowlog(m.DownloadSlowlogRequest(instance_id=slow_pair.id, body=body))
    assert (answer.status, answer.count) == ("FINISH", files.total_count)
    assert {one.file_name for one in answer.list} == {one.file_name for one in files.list}
    texts = [httpx.get(one.file_link).raise_for_status().text for one in answer.list]
    assert any("INSERT INTO slowly" in text for text in texts)
    assert not any(_VALUE in text or _SECRET in text for text in texts)
    next_second()
    errors = sdk.download_errorlog(m.DownloadErrorlogRequest(instance_id=slow_pair.id))
    assert all(httpx.get(one.file_link).status_code == 200 for one in errors.list)
    assert any(len(httpx.get(one.file_link).text) > 100 for one in errors.list)
    link = answer.list[0].file_link
    for wrong in (link[:-1], link[:-2] + "AA", link.replace("/downloads/", "/downloads/x")):
        assert httpx.get(wrong).status_code == 401
    next_second()
    body = m.SlowlogDownloadRequest(file_name="../data/secrets")
    refused(lambda: sdk.download_slowlog(m.DownloadSlowlogRequest(instance_id=slow_pair.id, body=body)))


@each_engine()
def test_errors_of_both_nodes_are_in_the_error_log(sdk: RdsClient, pair: Pair) -> None:
    ready = {EngineName.POSTGRESQL: "ready to accept"}.get(pair.dialect.engine, "ready for connections")
    found = listed_errors(sdk, pair, limit=100).error_log_list
    assert sum(ready in one.content for one in found) >= 2
    times = [one.time for one in found]
    assert times == sorted(times, reverse=True)
    assert str(pair.service.data_dir) not in str([one.content for one in found])
    for wrong in ({"level": "LOUD"}, {"offset": 0}):
        refused(lambda wrong=wrong: listed_errors(sdk, pair, **wrong))


@each_engine(EngineName.POSTGRESQL)
def test_a_failed_statement_is_in_the_error_log_without_its_values(sdk: RdsClient, pair: Pair) -> None:
    with pair.session() as client:
        for statement in (f"SELECT 1/0, '{_VALUE}'", f"CREATE ROLE x PASSWORD '{_SECRET}' '{_SECRET}'"):
            with pytest.raises(pair.dialect.Error):
                client.execute(statement)
    found = listed_errors(sdk, pair, level="ERROR", limit=100).error_log_list
    assert {one.level for one in found} == {"ERROR"}
    contents = [one.content for one in found]
    assert "division by zero\nSTATEMENT: SELECT ?/?, ?" in contents
    assert any("CREATE ROLE ... (not shown" in one for one in contents)
    assert _VALUE not in str(contents) and _SECRET not in str(contents)
    begin, end = window()
    body = m.ErrorlogForLtsRequest(
        start_time=begin, end_time=end, level="ERROR", limit=1, search_type="backwards"
    )
    page = sdk.list_errorlog_for_lts(
        m.ListErrorlogForLtsRequest(instance_id=pair.id, body=body)
    ).error_log_list
    assert page[0].content == contents[0]
    rows = m.ListErrorLogsNewRequest(
        instance_id=pair.id, start_date=begin, end_date=end, offset=1, limit=1, level="ERROR"
    )
    assert sdk.list_error_logs_new(rows).error_log_list[0].content == contents[1]


@each_engine(EngineName.POSTGRESQL)
def test_only_the_last_month_can_be_asked_for(sdk: RdsClient, pair: Pair) -> None:
    now = dt.datetime.now(dt.UTC)
    for first, last in ((now - dt.timedelta(days=33), now), (now, now - dt.timedelta(hours=1))):
        refused(lambda first=first, last=last: errors_between(sdk, pair, written(first), written(last)))
    refused(lambda: errors_between(sdk, pair, "yesterday", written(now)))
    refused(lambda: errors_between(sdk, pair, written(now)[:-5], written(now)))
    late = now + dt.timedelta(hours=1)
    assert errors_between(sdk, pair, written(late), written(late)).total_record == 0
    with pytest.raises(ClientRequestException) as missing:
        begin, end = window()
        nobody = m.ListErrorLogsRequest(instance_id="0" * 32 + "in03", start_date=begin, end_date=end)
        sdk.list_error_logs(nobody)
    assert (missing.value.status_code, missing.value.error_code) == (404, "DBS.200002")


def window() -> tuple[str, str]:
    now = dt.datetime.now(dt.UTC)
    return written(now - dt.timedelta(hours=2)), written(now + dt.timedelta(minutes=1))


def written(moment: dt.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S+0000")


def listed_slow(sdk: RdsClient, pair: Pair, **filters: Any) -> m.ListSlowLogsResponse:
    begin, end = window()
    return sdk.list_slow_logs(
        m.ListSlowLogsRequest(instance_id=pair.id, start_date=begin, end_date=end, **filters)
    )


def listed_errors(sdk: RdsClient, pair: Pair, **filters: Any) -> m.ListErrorLogsResponse:
    return errors_between(sdk, pair, *window(), **filters)


def errors_between(
    sdk: RdsClient, pair: Pair, begin: str, end: str, **filters: Any
) -> m.ListErrorLogsResponse:
    return sdk.list_error_logs(
        m.ListErrorLogsRequest(instance_id=pair.id, start_date=begin, end_date=end, **filters)
    )


def refused(call: Callable[[], object]) -> None:
    with pytest.raises(ClientRequestException) as refusal:
        call()
    assert (refusal.value.status_code, refusal.value.error_code) == (400, "DBS.200001")
