-- name: begin_report
insert into version_report (id, instance_id, kind, old_version, new_version, statistics)
values (%(id)s, %(instance_id)s, %(kind)s, %(old_version)s, %(new_version)s, %(statistics)s)

-- name: end_report
update version_report set result = %(result)s, detail = %(detail)s, ended_at = now() where id = %(id)s

-- name: forget_reports
-- Of each instance so many are kept.
delete from version_report where instance_id = %(instance_id)s and kind = %(kind)s and begun_at <= (
    select begun_at from version_report where instance_id = %(instance_id)s and kind = %(kind)s
    order by begun_at desc limit 1 offset %(kept)s)

-- name: reports
-- What a task failed of is the last word. A report is good for a day.
with matching as (
    select * from version_report
    where instance_id = %(instance_id)s and kind = %(kind)s
      and (%(new_version)s::text is null or new_version = %(new_version)s)
      and (%(is_available)s::boolean is null
           or %(is_available)s = (result = 'success' and begun_at > now() - interval '1 day'))
), page as (
    select matching.*, coalesce(nullif(task.fail_reason, ''), detail) as told
    from matching left join task on task.id = matching.id
    order by case when %(ascending)s then begun_at end, begun_at desc limit %(limit)s offset %(offset)s
)
-- One row that has only the count, where the page is empty.
select total.total, page.*
from (select count(*) as total from matching) as total left join page on true
order by case when %(ascending)s then begun_at end, begun_at desc

-- name: versions_at
-- What the host of an instance's primary has.
select one ->> 'engine' as engine, one ->> 'version' as version, one ->> 'complete_version' as complete_version
from node join host on host.name = node.host, jsonb_array_elements(host.installations) as one
where node.instance_id = %s and node.role <> 'slave'
