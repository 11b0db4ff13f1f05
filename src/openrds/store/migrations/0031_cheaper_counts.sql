-- What is noted of each task that is accepted, ends or is hidden, at less cost.

drop trigger tell_of_tasks on task_count_change;
create function tell_of_tasks() returns trigger language plpgsql as $$
begin
    perform pg_notify('openrds_changed', 'tasks');
    return null;
end
$$;
create trigger tell_of_tasks after insert on task_count_change for each statement execute function tell_of_tasks();

create function count_task(project text, task uuid, instance text, task_name text, task_status text, difference smallint)
    returns void language plpgsql as $$
begin
    insert into task_count_change values (project, task, task_name, task_status, difference);
    insert into task_count_of_instance as counted values (instance, task_name, task_status, project, difference)
    on conflict (instance_id, name, status) do update set tasks = counted.tasks + excluded.tasks;
end
$$;

create or replace function note_task_count() returns trigger language plpgsql as $$
declare
    floor uuid;
begin
    -- The floor stands still until this transaction is over.
    perform pg_advisory_xact_lock_shared(hashtext('task floor'));
    floor := (select id from task_floor);
    if tg_op <> 'INSERT' and not old.hidden and old.id >= floor then
        perform count_task(old.project_id, old.id, old.instance_id, old.name, old.status, -1::smallint);
    end if;
    if tg_op <> 'DELETE' and not new.hidden and new.id >= floor then
        perform count_task(new.project_id, new.id, new.instance_id, new.name, new.status, 1::smallint);
    end if;
    return null;
end
$$;
