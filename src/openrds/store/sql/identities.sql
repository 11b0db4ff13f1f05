-- name: lock_projects
lock table project in share row exclusive mode

-- name: accounts
select account.*, project.name as project_name, project.domain_id, project.domain_name
from account join project on project.id = account.project_id
order by user_name

-- name: account_of_project
select account.* from account join project on project.id = account.project_id where project.name = %s

-- name: domain
select domain_id from project limit 1

-- name: insert_project
insert into project (id, name, domain_id, domain_name)
values (%(id)s, %(name)s, %(domain_id)s, %(domain_name)s)
on conflict (id) do nothing

-- name: insert_account
insert into account (access_key, secret_key, user_id, user_name, password_hash, project_id)
values (%(access_key)s, %(secret_key)s, %(user_id)s, %(user_name)s, %(password_hash)s, %(project_id)s)

-- name: project_with_access_key
select project.name from account join project on project.id = account.project_id where access_key = %s

-- name: set_keys
update account set access_key = %(access_key)s, secret_key = %(secret_key)s
where project_id = %(project_id)s

-- name: set_password_hash
update account set password_hash = %(password_hash)s where project_id = %(project_id)s

-- name: revoke_session
insert into revoked_session (session, user_id, expires_at)
values (%(session)s, %(user_id)s, %(expires_at)s)
on conflict (session) do nothing

-- name: revoked_sessions
select * from revoked_session where expires_at >= now()

-- name: delete_expired_revocations
delete from revoked_session where expires_at < now()
