"""Bodies of the calls for logs. Source: reads.md 10, the cloud's SDK."""

import msgspec

from openrds.domain.lengths import Text


class ErrorLog(msgspec.Struct):
    """`time` is `2026-02-03T04:05:06`, UTC."""

    time: str
    level: str
    content: str


class ErrorLogAnswer(msgspec.Struct):
    error_log_list: list[ErrorLog]
    total_record: int


class NumberedErrorLog(msgspec.Struct):
    time: str
    level: str
    content: str
    line_num: str


class ErrorLogPage(msgspec.Struct):
    error_log_list: list[NumberedErrorLog]


class SlowLog(msgspec.Struct):
    """Times such as `1.04899 s`; `start_time` as `2026-02-03T04:05:06`, UTC. 0 for what the engine does not note."""

    count: str
    time: str
    lock_time: str
    rows_sent: str
    rows_examined: str
    database: str
    users: str
    query_sample: str
    type: str
    start_time: str
    client_ip: str


class SlowLogAnswer(msgspec.Struct):
    slow_log_list: list[SlowLog]
    total_record: int


class NumberedSlowLog(SlowLog):
    line_num: str


class SlowLogPage(msgspec.Struct):
    """`long_query_time` in seconds: what takes longer is slow."""

    slow_log_list: list[NumberedSlowLog]
    long_query_time: str


class SlowStatement(msgspec.Struct, rename="camel"):
    """Statements that differ only in their values; times and rows are averages."""

    count: str
    time: str
    lock_time: str
    rows_sent: int
    rows_examined: int
    database: str
    users: str
    query_sample: str
    type: str
    client_ip: str = msgspec.field(name="clientIP")


class SlowStatementsAnswer(msgspec.Struct, rename="camel"):
    """`start_time` and `end_time` in milliseconds since 1970."""

    page_number: int
    page_record: int
    slow_log_list: list[SlowStatement]
    total_record: int
    start_time: int
    end_time: int


class FlatSlowStatement(msgspec.Struct):
    count: str
    time: str
    lock_time: str
    rows_sent: int
    rows_examined: int
    database: str
    users: str
    query_sample: str
    type: str
    client_ip: str


class FlatSlowStatementsAnswer(msgspec.Struct):
    slow_log_list: list[FlatSlowStatement]
    total_count: int


class _Page(msgspec.Struct, kw_only=True):
    """`line_num` is that of an entry of another page: what is asked for comes after it, or with `backwards` before."""

    start_time: Text
    end_time: Text
    line_num: Text = ""
    limit: int = 10
    search_type: Text = "forwards"


class ErrorLogRequest(_Page, kw_only=True):
    level: Text = "ALL"


class SlowLogRequest(_Page, kw_only=True):
    type: Text = ""
    database: Text = ""


class SlowStatementsRequest(msgspec.Struct, kw_only=True):
    """With `sort` `executeTime` the slowest come first, else the most frequent; `order` is `desc` or `asc`."""

    start_time: Text
    end_time: Text
    offset: int = 0
    limit: int = 10
    type: Text = ""
    database: Text = ""
    sort: Text = ""
    order: Text = "desc"


class LogFileEntry(msgspec.Struct):
    """`file_size` in bytes, on the host: what is downloaded is another form of it."""

    file_name: str
    file_size: str


class LogFilesAnswer(msgspec.Struct):
    list: list[LogFileEntry]
    total_count: int


class DownloadRequest(msgspec.Struct):
    file_name: Text = ""


class LogDownload(msgspec.Struct):
    """`file_link` needs no key, and is good for 15 minutes. Times in milliseconds since 1970."""

    workflow_id: str
    file_name: str
    status: str
    file_size: str
    file_link: str
    create_at: int
    update_at: int


class LogDownloadsAnswer(msgspec.Struct):
    list: list[LogDownload]
    status: str
    count: int
