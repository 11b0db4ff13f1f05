-- A week in which one project has most tasks, as each has when it begins: another project's page went through all of
-- them by their ids, as the planner took each project for as large as the average. Its own index is always right.

create or replace function create_task_partitions(oldest timestamptz, newest timestamptz) returns void language plpgsql as $$
declare
    week timestamptz;
    partition text;
begin
    perform pg_advisory_xact_lock(hashtext('task partitions'));
    for week in
        select generate_series(date_trunc('week', oldest at time zone 'UTC'),
                               date_trunc('week', newest at time zone 'UTC'), '7 days') at time zone 'UTC'
    loop
        partition := 'task_' || to_char(week at time zone 'UTC', 'YYYYMMDD');
        continue when to_regclass(partition) is not null;
        -- Attached, because making it as a partition would lock everybody out of the table for a moment.
        execute format('create table %I (like task including defaults)', partition);
        execute format('alter table %I alter column project_id set (n_distinct = 1000)', partition);
        execute format('alter table task attach partition %I for values from (%L) to (%L)', partition,
                       first_task_id(week), first_task_id(week + interval '7 days'));
        -- Counting within a block reads only the index, where the visibility map says so.
        execute format('alter table %I set (autovacuum_vacuum_insert_scale_factor = 0.02,
                        autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05)', partition);
    end loop;
end
$$;

-- It counts once they are analysed, which nobody does any more with weeks that are over.
do $$
declare
    partition regclass;
begin
    for partition in select inhrelid::regclass from pg_inherits where inhparent = 'task'::regclass loop
        execute format('alter table %s alter column project_id set (n_distinct = 1000)', partition);
        execute format('analyze %s', partition);
    end loop;
end
$$;
