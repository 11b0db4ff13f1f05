-- name: begin_session
-- The oldest sessions of the account make room.
with gone as (
    delete from console_session where id_hash in (
        select id_hash from console_session where access_key = %(access_key)s order by created_at desc offset %(most)s
    )
)
insert into console_session (id_hash, access_key, mark) values (%(id_hash)s, %(access_key)s, %(mark)s)

-- name: find_session
select access_key, mark, seen_at < now() - interval '1 minute' as seen_long_ago
from console_session
where id_hash = %(id_hash)s and seen_at > now() - %(idle)s::interval and created_at > now() - %(life)s::interval

-- name: see_session
update console_session set seen_at = now() where id_hash = %s

-- name: end_session
delete from console_session where id_hash = %s

-- name: delete_expired_sessions
-- None lasts so long.
delete from console_session where created_at < now() - interval '12 hours'

-- name: usual_durations
-- Of the steps of a task, in seconds, as they took here before.
select step_duration.step, step_duration.seconds
from task join step_duration on step_duration.operation = task.operation
where task.id = %(id)s and task.project_id = %(project_id)s
