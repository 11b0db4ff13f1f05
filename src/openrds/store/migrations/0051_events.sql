-- What happens to tasks, steps, instances and backups, one row a change, kept for a day: docs/decisions/0051 says why so.

-- Events are read in the order of (xid, number), and only up to the oldest transaction that still runs: behind that
-- nothing can appear any more, so who reads on from one misses none.
create table event (
    xid         xid8 not null default pg_current_xact_id(),
    number      bigint generated always as identity,
    project_id  text not null,
    subject     text not null,                  -- task, step, instance, backup
    instance_id text not null,
    task_id     uuid,                           -- of task and step
    at          timestamptz not null default clock_timestamp(),
    state       jsonb not null,                 -- as it is now
    primary key (xid, number)
);

create function tell_event(project text, subject text, instance text, task uuid, state jsonb) returns void
language plpgsql as $$
begin
    insert into event (project_id, subject, instance_id, task_id, state)
    values (project, subject, instance, task, state);
    perform pg_notify('openrds_event', '');
end
$$;

-- Who cancelled a task that runs: it is turned round before its next step, and the step at work is given up.
alter table task add column cancelled_by text not null default '';

create function event_of_task() returns trigger language plpgsql as $$
begin
    perform tell_event(new.project_id, 'task', new.instance_id, new.id, jsonb_build_object(
        'id', new.id, 'name', new.name, 'instance_id', new.instance_id, 'instance_name', new.instance_name,
        'status', case when new.hidden then 'Deleted' else new.status end, 'undoing', new.unwinding,
        'cancelled_by', new.cancelled_by, 'progress', floor(new.progress)::integer, 'fail_reason', new.fail_reason));
    return null;
end
$$;

create trigger event_of_new_task after insert on task
    for each row when (new.status = 'Running') execute function event_of_task();
create trigger event_of_task after update on task for each row
    when ((old.status, old.unwinding, old.hidden, old.fail_reason, old.step_started_at, old.cancelled_by)
          is distinct from
          (new.status, new.unwinding, new.hidden, new.fail_reason, new.step_started_at, new.cancelled_by))
    execute function event_of_task();

create function event_of_step() returns trigger language plpgsql as $$
begin
    perform tell_event(project_id, 'step', instance_id, new.task_id, jsonb_build_object(
        'task_id', new.task_id, 'position', new.position, 'name', new.name, 'node_id', new.node_id, 'host', new.host,
        'status', new.status, 'attempts', new.attempts, 'error', new.error))
    from task where id = new.task_id;
    return null;
end
$$;

create trigger event_of_step after update on step for each row
    when ((old.status, old.attempts, old.error) is distinct from (new.status, new.attempts, new.error))
    execute function event_of_step();

create function tell_instance(changed instance, status text) returns void language plpgsql as $$
begin
    perform tell_event(changed.project_id, 'instance', changed.id, null, jsonb_build_object(
        'id', changed.id, 'name', changed.name, 'engine', changed.engine, 'version', changed.version,
        'type', changed.type, 'status', status));
end
$$;

create function event_of_instance() returns trigger language plpgsql as $$
declare
    changed instance := coalesce(new, old);
begin
    perform tell_instance(changed, case when tg_op = 'DELETE' then 'DELETED' else changed.status end);
    return null;
end
$$;

create trigger event_of_new_instance after insert or delete on instance
    for each row execute function event_of_instance();
create trigger event_of_instance after update on instance for each row
    when (old.* is distinct from new.*) execute function event_of_instance();

-- Which node is the primary is told as a change of the instance.
create function event_of_node() returns trigger language plpgsql as $$
begin
    perform tell_instance(instance, instance.status) from instance where id = new.instance_id;
    return null;
end
$$;

create trigger event_of_node after update on node for each row
    when (old.role is distinct from new.role) execute function event_of_node();

create function event_of_backup() returns trigger language plpgsql as $$
declare
    changed backup := coalesce(new, old);
begin
    perform tell_event(changed.project_id, 'backup', changed.instance_id, null, jsonb_build_object(
        'id', changed.id, 'name', changed.name, 'instance_id', changed.instance_id,
        'instance_name', changed.instance_name, 'type', changed.type,
        'status', case when tg_op = 'DELETE' then 'DELETED' else changed.status end));
    return null;
end
$$;

create trigger event_of_new_backup after insert or delete on backup
    for each row execute function event_of_backup();
create trigger event_of_backup after update on backup for each row
    when ((old.name, old.status) is distinct from (new.name, new.status)) execute function event_of_backup();
