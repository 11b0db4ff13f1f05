-- name: catalogue
-- That of exactly this version, or else the one that was found out last of any like it.
select parameters, problem from parameter_catalogue
where engine = %(engine)s and version = %(version)s and edition = %(edition)s
  and (%(complete_version)s::text is null and parameters is not null or complete_version = %(complete_version)s)
order by complete_version desc limit 1

-- name: want_catalogue
-- What could not be found out is tried again.
insert into parameter_catalogue (engine, version, complete_version, edition)
values (%(engine)s, %(version)s, %(complete_version)s, %(edition)s)
on conflict (engine, complete_version, edition) do update set problem = null
where parameter_catalogue.problem is not null

-- name: wanted_catalogues
select engine, version, complete_version from parameter_catalogue
where edition = %s and parameters is null and problem is null

-- name: set_catalogue
update parameter_catalogue set parameters = %(parameters)s, problem = %(problem)s
where engine = %(engine)s and complete_version = %(complete_version)s and edition = %(edition)s

-- name: installations
-- Of each version that any host has, the newest.
select distinct on (one ->> 'engine', one ->> 'version')
       one ->> 'engine' as engine, one ->> 'version' as version, one ->> 'complete_version' as complete_version,
       host.seen_at
from host, jsonb_array_elements(host.installations) as one
order by one ->> 'engine', one ->> 'version', string_to_array(one ->> 'complete_version', '.')::integer[] desc

-- name: configurations
select * from configuration where project_id = %s order by created_at, id

-- name: configuration
select * from configuration where id = %(id)s and project_id = %(project_id)s

-- name: lock_configuration
select * from configuration where id = %(id)s and project_id = %(project_id)s for update

-- name: count_configurations
-- Of two creations at once, one waits.
select count(*) as configurations from (
    select from configuration where project_id = %(project_id)s
) as counted, pg_advisory_xact_lock(hashtext('configurations'), hashtext(%(project_id)s))

-- name: is_configuration_name_taken
select from configuration where project_id = %(project_id)s and name = %(name)s and id <> %(id)s

-- name: insert_configuration
insert into configuration (id, project_id, name, description, engine, version, parameters)
values (%(id)s, %(project_id)s, %(name)s, %(description)s, %(engine)s, %(version)s, %(parameters)s)
returning *

-- name: update_configuration
update configuration set name = %(name)s, description = %(description)s, parameters = %(parameters)s, updated_at = now()
where id = %(id)s

-- name: delete_configuration
delete from configuration where id = %s

-- name: instances_of_configuration
select id from instance where configuration_id = %s and configuration_id <> '' and not deleting

-- name: candidates
-- The instances that a group can be applied to.
with matching as (
    select id, name, created_at from instance
    where project_id = %(project_id)s and engine = %(engine)s and version = %(version)s
      and status = 'ACTIVE' and not deleting
), page as (
    select * from matching order by created_at desc, id limit %(limit)s offset %(offset)s
)
-- One row that has only the count, where the page is empty.
select total.total, page.*
from (select count(*) as total from matching) as total left join page on true
order by created_at desc, id

-- name: set_parameters
update instance set parameters = %(parameters)s,
                    configuration_id = coalesce(%(configuration_id)s, configuration_id), updated_at = now()
where id = %(id)s

-- name: set_in_force
update instance set parameters_in_force = %(parameters)s
where id = %(id)s and parameters_in_force <> %(parameters)s

-- name: note_change
insert into parameter_change (instance_id, name, old_value, new_value, succeeded)
values (%(instance_id)s, %(name)s, %(old_value)s, %(new_value)s, %(succeeded)s)

-- name: forget_changes
-- Of each instance so many are kept.
delete from parameter_change where instance_id = %(id)s and id <= (
    select id from parameter_change where instance_id = %(id)s order by id desc limit 1 offset %(kept)s)

-- name: changes
with matching as (
    select * from parameter_change
    where instance_id = %(id)s
      and (%(name)s::text is null or name = %(name)s)
      and (%(begin)s::timestamptz is null or changed_at >= %(begin)s)
      and (%(end)s::timestamptz is null or changed_at <= %(end)s)
), page as (
    select * from matching order by id desc limit %(limit)s offset %(offset)s
)
-- One row that has only the count, where the page is empty.
select total.total, page.*
from (select count(*) as total from matching) as total left join page on true
order by id desc

-- name: note_application
insert into configuration_application (project_id, configuration_id, instance_id, instance_name, succeeded)
values (%(project_id)s, %(configuration_id)s, %(instance_id)s, %(instance_name)s, %(succeeded)s)

-- name: forget_applications_of
delete from configuration_application where project_id = %(project_id)s and configuration_id = %(id)s

-- name: forget_applications
delete from configuration_application
where project_id = %(project_id)s and configuration_id = %(configuration_id)s and id <= (
    select id from configuration_application
    where project_id = %(project_id)s and configuration_id = %(configuration_id)s
    order by id desc limit 1 offset %(kept)s)

-- name: applications
with matching as (
    select * from configuration_application
    where project_id = %(project_id)s and configuration_id = %(configuration_id)s
), page as (
    select * from matching order by id desc limit %(limit)s offset %(offset)s
)
-- One row that has only the count, where the page is empty.
select total.total, page.*
from (select count(*) as total from matching) as total left join page on true
order by id desc

-- name: memory_of_instance
select host.memory_mb from node join host on host.name = node.host
where node.instance_id = %s order by node.role = 'slave' limit 1
