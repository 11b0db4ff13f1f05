-- name: count
select count(*) as webhooks from webhook where project_id = %(project_id)s

-- name: insert
insert into webhook (id, project_id, url, description, subjects, instance_id, enabled, secret)
values (%(id)s, %(project_id)s, %(url)s, %(description)s, %(subjects)s, %(instance_id)s, %(enabled)s, %(secret)s)
returning *

-- name: of_project
select * from webhook where project_id = %(project_id)s order by created_at, id

-- name: find
select * from webhook where id = %(id)s and project_id = %(project_id)s

-- name: lock
select * from webhook where id = %(id)s and project_id = %(project_id)s for no key update

-- name: change
-- Whoever is enabled anew has not failed yet.
update webhook
set url = %(url)s, description = %(description)s, subjects = %(subjects)s, instance_id = %(instance_id)s,
    enabled = %(enabled)s, disabled_reason = case when %(enabled)s then '' else disabled_reason end,
    failing_since = case when %(enabled)s and not enabled then null else failing_since end, updated_at = now()
where id = %(id)s
returning *

-- name: delete
delete from webhook where id = %(id)s

-- name: insert_delivery
insert into webhook_delivery (webhook_id, type, at, data)
values (%(webhook_id)s, %(type)s, clock_timestamp(), %(data)s)
returning *

-- name: replay
-- One that waits for its next attempt need not wait any longer.
update webhook_delivery set status = 'pending', attempts = 0, due_at = now()
where id = %(id)s and webhook_id = %(webhook_id)s
returning *

-- name: tell
-- Whoever delivers is to look.
select pg_notify('openrds_changed', 'webhook')

-- name: deliveries
-- The latest first.
select * from webhook_delivery where webhook_id = %(webhook_id)s order by number desc limit %(limit)s offset %(offset)s

-- name: count_deliveries
select count(*) as deliveries from webhook_delivery where webhook_id = %(webhook_id)s

-- name: due
-- Some of what is due of each webhook that there is room for, but for what is being delivered. Whose last attempt failed
-- is tried with one at a time.
select webhook.id as webhook_id, webhook.project_id, webhook.url, webhook.secret,
       webhook.failing_since is not null as failing,
       due.id, due.type, due.at, due.data, due.attempts
from webhook cross join lateral (
    select * from webhook_delivery
    where webhook_delivery.webhook_id = webhook.id and due_at <= now() and webhook_delivery.id <> all (%(busy)s::uuid[])
    order by due_at, number
    limit case when webhook.failing_since is null then %(each)s::bigint else 1 end
) as due
where webhook.enabled
  and webhook.id <> all (%(full_webhooks)s::text[]) and webhook.project_id <> all (%(full_projects)s::text[])
  and (webhook.failing_since is null or webhook.id <> all (%(busy_webhooks)s::text[]))
order by due.due_at, due.number
limit %(most)s

-- name: next_due
-- In how many seconds something will be due that is not yet.
select extract(epoch from due_at - now())::float as seconds
from webhook_delivery where due_at > now() order by due_at limit 1

-- name: record
-- How an attempt ended; it may be recorded twice. Nothing is left of it where the webhook was deleted, and what was
-- replayed meanwhile goes on being due.
with held as (
    -- First, as whoever else changes both has it.
    select id from webhook where id = %(webhook_id)s for no key update
), delivery as (
    update webhook_delivery
    set status = case when %(delivered)s then 'delivered' when %(retry_in)s::float is null then 'failed' else 'pending' end,
        attempts = %(attempts)s, due_at = clock_timestamp() + %(retry_in)s::float * interval '1 second',
        attempted_at = %(attempted_at)s, http_status = %(http_status)s, duration_ms = %(duration_ms)s, error = %(error)s
    from held
    where webhook_delivery.id = %(id)s and webhook_delivery.webhook_id = held.id and attempts = %(attempts)s - 1
    returning webhook_id
)
update webhook set failing_since = case when %(delivered)s then null else coalesce(failing_since, %(attempted_at)s) end
from delivery where webhook.id = delivery.webhook_id and (failing_since is null) <> %(delivered)s
returning webhook.id

-- name: disable
-- One that has failed for so long, or whose receiver is gone.
update webhook set enabled = false, disabled_reason = %(reason)s, updated_at = now()
where id = %(id)s and enabled and (%(gone)s or failing_since < now() - %(patience)s::interval)
returning id

-- name: end_deliveries
-- What is left of a disabled webhook.
with ended as (
    update webhook_delivery set status = 'failed', due_at = null, error = 'The webhook was disabled.'
    where webhook_id = %(webhook_id)s and due_at is not null
    returning id
)
select count(*) as deliveries from ended

-- name: give_up
-- Of what waits the oldest, so that no more than so many are left.
with ended as (
    update webhook_delivery set status = 'failed', due_at = null, error = %(error)s
    where webhook_id = %(webhook_id)s and due_at is not null and number <= (
        select number from webhook_delivery where webhook_id = %(webhook_id)s and due_at is not null
        order by number desc offset %(kept)s limit 1)
    returning id
)
select count(*) as deliveries from ended

-- name: forget_ended
-- All but the last of those that have ended.
with forgotten as (
    delete from webhook_delivery
    where webhook_id = %(webhook_id)s and due_at is null and number <= (
        select number from webhook_delivery where webhook_id = %(webhook_id)s and due_at is null
        order by number desc offset %(kept)s limit 1)
    returning id
)
select count(*) as deliveries from forgotten

-- name: forget_old
delete from webhook_delivery
where created_at < now() - 2 * %(age)s::interval or (due_at is null and created_at < now() - %(age)s::interval)
