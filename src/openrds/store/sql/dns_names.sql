-- name: take_name
-- Where nobody has it, or it was left: by the same project, or long ago.
insert into dns_name (label, project_id, instance_id)
values (%(label)s, %(project_id)s, %(instance_id)s)
on conflict (label) do update
set project_id = excluded.project_id, instance_id = excluded.instance_id, left_at = null
where dns_name.instance_id is null
  and (dns_name.project_id = excluded.project_id or dns_name.left_at < now() - make_interval(days => %(days)s))
returning label

-- name: holder_of_name
select project_id, instance_id from dns_name where label = %s

-- name: set_name
update instance set dns_label = %(label)s, updated_at = now() where id = %(instance_id)s

-- name: leave_other_names
-- Those by which the instance is not found now.
update dns_name set instance_id = null, left_at = now() from instance
where instance.id = %s and dns_name.instance_id = instance.id and dns_name.label is distinct from instance.dns_label

-- name: leave_names
-- All of an instance, and of its read replicas.
update dns_name set instance_id = null, left_at = now()
where instance_id = any(array(select id from instance where replica_of = %(id)s) || %(id)s::text)

-- name: forget_left_names
-- What was left long ago, or where the project has left more since.
delete from dns_name using (
    select label, left_at, row_number() over (partition by project_id order by left_at desc) as place
    from dns_name where left_at is not null
) as held
where dns_name.label = held.label and dns_name.left_at = held.left_at
  and (held.left_at < now() - make_interval(days => %(days)s) or held.place > %(most)s)

-- name: all_names
-- All there are, with the address of each, null while its instance has none.
select id, dns_label as label, host(address) as address from instance where dns_label is not null

-- name: names_of
-- The same of some instances.
select id, dns_label as label, host(address) as address from instance
where id = any(%s) and dns_label is not null
