-- Who keeps something in line with the store is told of what changes in it, and need not ask. docs/decisions/0017 says why.

-- The channel's payloads are a subject, and for some of them the instance that it is about.
create function tell_of_change() returns trigger language plpgsql as $$
declare
    changed record;
begin
    if tg_op = 'DELETE' then
        changed := old;
    else
        changed := new;
    end if;
    -- A second argument is the column that has the instance.
    perform pg_notify('openrds_changed', concat_ws(' ', tg_argv[0], to_jsonb(changed) ->> tg_argv[1]));
    return null;
end
$$;

create trigger tell_of_instance after insert or update or delete on instance
    for each row execute function tell_of_change('instance', 'id');
create trigger tell_of_lock after insert or delete on instance_lock
    for each row execute function tell_of_change('instance', 'instance_id');
create trigger tell_of_new_node after insert or delete on node
    for each row execute function tell_of_change('instance', 'instance_id');
-- Not of what is only noted of it, again and again.
create trigger tell_of_node after update on node for each row
    when ((old.role, old.confirmation, old.address, old.replication -> 'streaming')
          is distinct from (new.role, new.confirmation, new.address, new.replication -> 'streaming'))
    execute function tell_of_change('instance', 'instance_id');
create trigger tell_of_public_address after insert or update or delete on public_address
    for each row execute function tell_of_change('instance', 'instance_id');
create trigger tell_of_backup after insert or update or delete on backup
    for each row execute function tell_of_change('backup', 'instance_id');
create trigger tell_of_scheduled_task after insert or update on scheduled_task
    for each row execute function tell_of_change('schedule');
-- A task was accepted, has ended or was hidden: each of these writes a change of the counts.
create trigger tell_of_tasks after insert on task_count_change
    for each row execute function tell_of_change('tasks');
