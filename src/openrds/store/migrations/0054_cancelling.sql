-- Who cancelled a task that runs: it is turned round before its next step, and the step at work is given up.
alter table task add column cancelled_by text not null default '';

-- Also that is an event.
create or replace function event_of_task() returns trigger language plpgsql as $$
begin
    perform tell_event(new.project_id, 'task', new.instance_id, new.id, jsonb_build_object(
        'id', new.id, 'name', new.name, 'instance_id', new.instance_id, 'instance_name', new.instance_name,
        'status', case when new.hidden then 'Deleted' else new.status end, 'undoing', new.unwinding,
        'cancelled_by', new.cancelled_by, 'progress', floor(new.progress)::integer, 'fail_reason', new.fail_reason));
    return null;
end
$$;

drop trigger event_of_task on task;
create trigger event_of_task after update on task for each row
    when ((old.status, old.unwinding, old.hidden, old.fail_reason, old.step_started_at, old.cancelled_by)
          is distinct from
          (new.status, new.unwinding, new.hidden, new.fail_reason, new.step_started_at, new.cancelled_by))
    execute function event_of_task();
