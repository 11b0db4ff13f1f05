-- name: set_access
update instance set access = %(access)s, updated_at = now() where id = %(id)s

-- name: note_change
insert into access_change (instance_id, before, after, succeeded)
values (%(instance_id)s, %(before)s, %(after)s, %(succeeded)s)

-- name: forget_changes
-- Of each instance so many are kept.
delete from access_change where instance_id = %(id)s and id <= (
    select id from access_change where instance_id = %(id)s order by id desc limit 1 offset %(kept)s)

-- name: changes
select before, after, succeeded, changed_at from access_change
where instance_id = %(id)s and changed_at between %(begin)s and %(end)s
order by id desc
