-- name: listen
listen openrds_event

-- name: end
-- Behind this position come all events of transactions that have not ended yet.
select pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1 as xid, 9223372036854775807 as number

-- name: read
-- What happened behind a position, in order. The last may not be ready: something may still appear before them, of a
-- transaction that began before theirs.
select xid::text::bigint as xid, number, project_id, subject, instance_id, task_id, at, state,
       xid < pg_snapshot_xmin(pg_current_snapshot()) as ready
from event
where (xid, number) > (%(xid)s::text::xid8, %(number)s)
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

-- name: first
-- The oldest event that is kept.
select xid::text::bigint as xid, number from event order by xid, number limit 1

-- name: forget
delete from event where (xid, number) in (
    select xid, number from (select xid, number, at from event order by xid, number limit %(limit)s) as oldest
    where at < now() - %(age)s::interval
)
returning number
