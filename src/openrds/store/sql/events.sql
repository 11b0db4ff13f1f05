-- name: listen
listen openrds_event

-- name: end
-- Behind this position come all events of transactions that have not ended yet.
select pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1 as xid, 9223372036854775807 as number

-- name: read
-- What happened behind a position, in order; nothing that something may still appear before.
select xid::text::bigint as xid, number, project_id, subject, instance_id, task_id, at, state
from event
where (xid, number) > (%(xid)s::text::xid8, %(number)s) and xid < pg_snapshot_xmin(pg_current_snapshot())
order by xid, number
limit %(limit)s

-- name: read_of_project
select xid::text::bigint as xid, number, project_id, subject, instance_id, task_id, at, state
from event
where (xid, number) > (%(xid)s::text::xid8, %(number)s)
  and (xid, number) <= (%(last_xid)s::text::xid8, %(last_number)s)
  and project_id = %(project_id)s
order by xid, number
limit %(limit)s

-- name: more_to_come
-- Whether there are events that must wait for a transaction that began before theirs.
select exists (select from event where xid >= pg_snapshot_xmin(pg_current_snapshot())) as more

-- name: first
-- The oldest event that is kept.
select xid::text::bigint as xid, number from event order by xid, number limit 1

-- name: forget
delete from event where (xid, number) in (
    select xid, number from (select xid, number, at from event order by xid, number limit %(limit)s) as oldest
    where at < now() - %(age)s::interval
)
returning number
