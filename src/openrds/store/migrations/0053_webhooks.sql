-- Who is told of events by a POST: docs/decisions/0053 says how.

create table webhook (
    id              text primary key,
    project_id      text not null references project,
    url             text not null,
    description     text not null default '',
    subjects        text[] not null,            -- of which events; empty: of all
    instance_id     text not null default '',   -- of which instance's; empty: of all
    enabled         boolean not null,
    disabled_reason text not null default '',   -- where openrds disabled it
    secret          text not null,              -- in clear: deliveries are signed with it
    failing_since   timestamptz,                -- since when none succeeded
    created_at      timestamptz not null default now(),
    updated_at      timestamptz not null default now()
);
create index webhook_of_project on webhook (project_id);

-- Not of how deliveries end.
create trigger tell_of_service
    after insert or delete or update of url, description, subjects, instance_id, enabled on webhook
    for each statement execute function tell_of_service();

-- What is to be delivered, and what became of it.
create table webhook_delivery (
    id           uuid primary key default gen_random_uuid(),    -- the receiver knows it by this, however often it comes
    number       bigint generated always as identity,
    webhook_id   text not null references webhook on delete cascade,
    type         text not null,
    at           timestamptz not null,
    data         jsonb not null,
    status       text not null default 'pending',               -- pending, delivered, failed
    attempts     integer not null default 0,
    due_at       timestamptz default now(),                     -- of the next attempt; none once it has ended
    attempted_at timestamptz,
    http_status  integer,                                       -- of the last attempt, as what follows
    duration_ms  integer,
    error        text not null default '',
    created_at   timestamptz not null default now()
);
create index webhook_delivery_of_webhook on webhook_delivery (webhook_id, number);
create index webhook_delivery_due on webhook_delivery (webhook_id, due_at) where due_at is not null;
create index webhook_delivery_next on webhook_delivery (due_at) where due_at is not null;

-- Deliveries are written with their event, in the transaction of the change: none is missed, whoever dies.
create function deliver_event() returns trigger language plpgsql as $$
begin
    insert into webhook_delivery (webhook_id, type, at, data)
    select webhook.id, new.subject || '.changed', new.at, jsonb_build_object(
        'id', new.xid || '-' || new.number, 'subject', new.subject, 'instance_id', new.instance_id,
        'task_id', coalesce(new.task_id::text, ''), 'state', new.state)
    from webhook
    where webhook.project_id = new.project_id and webhook.enabled
      and (webhook.subjects = '{}' or new.subject = any (webhook.subjects))
      and (webhook.instance_id = '' or webhook.instance_id = new.instance_id);
    if found then
        perform pg_notify('openrds_changed', 'webhook');
    end if;
    return null;
end
$$;
create trigger deliver_event after insert on event for each row execute function deliver_event();
