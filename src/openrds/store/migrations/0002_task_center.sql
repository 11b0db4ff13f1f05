-- The task center at any size: `task` is partitioned by week, an ended task keeps its steps in its own row, and
-- `tasklist` is answered from counts that are kept as tasks change. docs/decisions/0007 says why it is done this way.

-- --- the table, a partition for each week of ids ---

-- The smallest UUIDv7 of a moment: ids are in time order, so a time window is an id range.
create function first_task_id(moment timestamptz) returns uuid language sql immutable as $$
    select rpad(lpad(to_hex(floor(extract(epoch from moment) * 1000)::bigint), 12, '0'), 32, '0')::uuid
$$;

alter table task rename to old_task;
drop index task_of_project, task_of_instance, task_of_order, task_running;
alter table old_task rename constraint task_pkey to old_task_pkey;
alter table step drop constraint step_task_id_fkey;

create table task (
    id            uuid primary key,      -- UUIDv7
    project_id    text not null,
    operation     text not null,
    name          text not null,
    instance_id   text not null,
    instance_name text not null,
    order_id      text not null default '',
    status        text not null default 'Running',
    unwinding     boolean not null default false,
    hidden        boolean not null default false,   -- its record was deleted by the caller
    epoch         integer not null default 0,       -- a step attempt of an older epoch may record nothing
    parameters    jsonb not null,
    entities      jsonb not null default '{}',
    fail_reason   text not null default '',
    created_at    timestamptz not null,
    changed_at    timestamptz not null,
    ended_at      timestamptz,
    -- progress: percent done, percent the current step is worth, how long it usually takes, when it began
    progress      real not null default 0,
    step_share    real not null default 0,
    step_expected interval not null default '0',
    step_started_at timestamptz,
    -- what became of its steps, once it has ended: an array of {name, status, host, attempts, error, started_at, ended_at}
    steps         jsonb not null default '[]'
) partition by range (id);
create index task_of_project on task (project_id, id desc) include (name, status) where not hidden;
create index task_of_instance on task (instance_id, id desc) include (project_id, name, status) where not hidden;
create index task_of_order on task (order_id, id desc) where order_id <> '';
create index task_running on task (id) where status = 'Running';

-- Make the partitions for the weeks, Monday to Monday in UTC, from one moment to another. Readers and writers go on.
create function create_task_partitions(oldest timestamptz, newest timestamptz) returns void language plpgsql as $$
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
        execute format('alter table task attach partition %I for values from (%L) to (%L)', partition,
                       first_task_id(week), first_task_id(week + interval '7 days'));
        -- Counting within a block reads only the index, where the visibility map says so.
        execute format('alter table %I set (autovacuum_vacuum_insert_scale_factor = 0.02,
                        autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05)', partition);
    end loop;
end
$$;

-- --- how many tasks there are ---

-- Tasks from this id on are served and counted. It moves on as tasks get older than a month.
create table task_floor (id uuid not null);

-- A block is a run of a project's tasks, about a thousand: those with an id above `after`, up to the next block's.
create table task_block (
    project_id text not null,
    number     bigint not null,
    after      uuid not null,
    newest     uuid not null,            -- the newest task counted in it
    primary key (project_id, number)
);
create unique index task_block_start on task_block (project_id, after desc);

-- How many tasks of a name and a status there are in a block; '' stands for any. On level 1 a number stands for 32
-- blocks, on level 2 for 32 of those, and so on.
create table task_count (
    project_id text not null,
    name       text not null,
    status     text not null,
    level      smallint not null,
    number     bigint not null,
    tasks      bigint not null,
    primary key (project_id, name, status, level, number)
) with (fillfactor = 70);
create index task_count_names on task_count (project_id, name) where level = 3 and status = '';
create index task_count_of_status on task_count (project_id, status, level, number);

-- Changes not yet added to the counts. Whoever changes a task adds a row here, so that nobody waits for a row of counts.
create table task_count_change (
    project_id text not null,
    task_id    uuid not null,
    name       text not null,
    status     text not null,
    change     smallint not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

create function note_task_count() returns trigger language plpgsql as $$
begin
    -- The floor stands still until this transaction is over.
    perform pg_advisory_xact_lock_shared(hashtext('task floor'));
    insert into task_count_change
    select changed.* from (
        select old.project_id, old.id, old.name, old.status, -1 where tg_op <> 'INSERT' and not old.hidden
        union all
        select new.project_id, new.id, new.name, new.status, 1 where tg_op <> 'DELETE' and not new.hidden
    ) as changed (project_id, id, name, status, change)
    where changed.id >= (select id from task_floor);
    return null;
end
$$;
create trigger note_new_task after insert or delete on task for each row execute function note_task_count();
create trigger note_changed_task after update of status, hidden on task for each row
    when (old.status <> new.status or old.hidden <> new.hidden) execute function note_task_count();

-- The block an id belongs to.
create function task_block_of(project text, task uuid) returns bigint language sql stable as $$
    select coalesce(
        (select number from task_block where project_id = project and after < task order by after desc limit 1),
        (select min(number) from task_block where project_id = project),
        0)
$$;

-- The sums a task counts in, on every level.
create function task_count_keys(task_name text, task_status text, block bigint)
    returns table (name text, status text, level smallint, number bigint) language sql immutable as $$
    select key.name, key.status, level::smallint, block >> (5 * level)
    from generate_series(0, 3) as level,
         (values (task_name, task_status), (task_name, ''), ('', task_status), ('', '')) as key (name, status)
$$;

-- Add changes to the counts, oldest tasks first, and begin new blocks. Returns how many changes were added; fewer
-- than asked for means that none are left, or that another session is at it.
create function add_task_count_changes(batch integer) returns integer language plpgsql as $$
declare
    added integer;
    projects text[];
begin
    if not pg_try_advisory_xact_lock(hashtext('task counts')) then
        return 0;
    end if;
    with taken as (
        delete from task_count_change
        where ctid = any (array(select ctid from task_count_change order by task_id limit batch))
        returning *
    ), placed as (
        select taken.*, task_block_of(project_id, task_id) as block from taken
    ), blocks as (
        insert into task_block as block (project_id, number, after, newest)
        select project_id, block, '00000000-0000-0000-0000-000000000000', (array_agg(task_id order by task_id desc))[1]
        from placed group by project_id, block
        on conflict (project_id, number) do update set newest = greatest(block.newest, excluded.newest)
    ), counts as (
        insert into task_count as counted (project_id, name, status, level, number, tasks)
        select project_id, key.name, key.status, key.level, key.number, sum(change)
        from placed, task_count_keys(name, status, block) as key
        group by project_id, key.name, key.status, key.level, key.number
        having sum(change) <> 0
        on conflict (project_id, name, status, level, number) do update set tasks = counted.tasks + excluded.tasks
    )
    select count(*), array_agg(distinct project_id) into added, projects from placed;
    if added > 0 then
        insert into task_block (project_id, number, after, newest)
        select block.project_id, block.number + 1, block.newest, block.newest
        from unnest(projects) as project, lateral (
            select * from task_block where project_id = project order by number desc limit 1
        ) as block join task_count as counted on counted.project_id = block.project_id and counted.number = block.number
            and counted.level = 0 and counted.name = '' and counted.status = ''
        where counted.tasks >= 1024;
    end if;
    return added;
end
$$;

-- Move the floor up to an id: what is below is no longer served or counted. Writers wait meanwhile, so it must not be
-- asked to pass many tasks at once; whoever calls sets a lock_timeout.
-- The planner expects little of what is returned by a deletion, and would sort all of it.
create function raise_task_floor(oldest uuid) returns void language plpgsql set enable_sort = off as $$
declare
    floor uuid := (select id from task_floor);
begin
    if oldest <= floor then
        return;
    end if;
    perform pg_advisory_xact_lock(hashtext('task floor')), pg_advisory_xact_lock(hashtext('task counts'));
    floor := (select id from task_floor);
    with first as (  -- each project's first block that is not wholly below
        select block.project_id, block.number, block.after
        from (select distinct project_id from task_block) as project join task_block as block
            on block.project_id = project.project_id and block.number = task_block_of(project.project_id, oldest)
        union all
        select distinct project_id, 0, '00000000-0000-0000-0000-000000000000'::uuid from task_count_change as change
        where not exists (select from task_block where task_block.project_id = change.project_id)
    ), passed as (  -- the blocks before it go with all that was counted in them ...
        delete from task_block as block using first
        where block.project_id = first.project_id and block.number < first.number
        returning block.project_id
    ), passed_change as (
        delete from task_count_change as change using first
        where change.project_id = first.project_id and change.task_id <= first.after
    ), passed_sum as materialized (
        select first.project_id, status, level, first.number, first.number >> (5 * level) as beyond
        from first, unnest(array['', 'Running', 'Completed', 'Failed']) as status, generate_series(0, 3) as level
        where project_id in (select project_id from passed)
    ), passed_count as (
        delete from task_count as counted using passed_sum as sums
        where counted.project_id = sums.project_id and counted.status = sums.status
          and counted.level = sums.level and counted.number < sums.beyond
        returning counted.*, sums.number as first
    ), passed_task as (  -- ... and of it, the tasks
        select first.project_id, first.number, task.name, task.status, count(*) as tasks
        from first, lateral (
            select name, status from task
            where project_id = first.project_id and not hidden and id > first.after and id >= floor and id < oldest
        ) as task
        group by 1, 2, 3, 4
    )
    -- Not noted as changes: readers would go through them all.
    insert into task_count as counted (project_id, name, status, level, number, tasks)
    select project_id, name, status, level, number, -sum(tasks)
    from (
        select project_id, name, status, above as level, first >> (5 * above) as number, tasks
        from passed_count, generate_series(1, 3) as above
        where level = 0 and number >> (5 * above) = first >> (5 * above)
        union all
        select project_id, key.name, key.status, key.level, key.number, tasks
        from passed_task, task_count_keys(passed_task.name, passed_task.status, passed_task.number) as key
    ) as passed
    group by project_id, name, status, level, number
    on conflict (project_id, name, status, level, number) do update set tasks = counted.tasks + excluded.tasks;
    update task_floor set id = oldest;
end
$$;

-- What is counted that is not there, or there and not counted. Takes seconds for millions of tasks.
create function wrong_task_counts()
    returns table (project_id text, name text, status text, level smallint, number bigint, counted bigint, actual bigint)
    language sql stable as $$
    with block as (
        select project_id, number, after, lead(after) over (partition by project_id order by number) as upto
        from task_block
    ), there as (
        select block.project_id, block.number as block, task.name, task.status, task.tasks
        from block, lateral (
            select task.name, task.status, count(*) as tasks from task
            where task.project_id = block.project_id and not hidden
              and id > block.after and id <= coalesce(block.upto, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
              and id >= (select id from task_floor)
            group by task.name, task.status
        ) as task
        union all  -- of projects that nothing was counted of yet
        select task.project_id, 0, task.name, task.status, count(*) from task
        where not hidden and id >= (select id from task_floor)
          and task.project_id in (
              select change.project_id from task_count_change as change
              except select block.project_id from task_block as block)
        group by task.project_id, task.name, task.status
    ), sums as (
        select project_id, name, status, level, number, tasks as counted, 0 as actual from task_count
        union all
        select project_id, key.name, key.status, key.level, key.number, change, 0
        from task_count_change as change, task_count_keys(change.name, change.status, task_block_of(project_id, task_id)) as key
        union all
        select project_id, key.name, key.status, key.level, key.number, 0, tasks
        from there, task_count_keys(there.name, there.status, block) as key
    )
    select project_id, name, status, level, number, sum(counted)::bigint, sum(actual)::bigint
    from sums group by 1, 2, 3, 4, 5 having sum(counted) <> sum(actual)
$$;

-- Count everything anew. Nobody can change a task meanwhile.
create function recount_tasks() returns void language plpgsql as $$
begin
    lock table task in share row exclusive mode;
    perform pg_advisory_xact_lock(hashtext('task counts'));
    truncate task_block, task_count, task_count_change;
    insert into task_block
    select project_id, (place - 1) / 1024,
           coalesce(lag(newest) over (partition by project_id order by place), '00000000-0000-0000-0000-000000000000'),
           newest
    from (
        select project_id, id as newest, row_number() over newest_last as place,
               lead(id) over newest_last is null as is_last
        from task where not hidden and id >= (select id from task_floor)
        window newest_last as (partition by project_id order by id)
    ) as numbered
    where place % 1024 = 0 or is_last;
    insert into task_count
    select project_id, key.name, key.status, key.level, key.number, sum(tasks)
    from (
        select block.project_id, block.number as block, task.name, task.status, count(*) as tasks
        from task_block as block, lateral (
            select name, status from task
            where task.project_id = block.project_id and not hidden and id > block.after and id <= block.newest
              and id >= (select id from task_floor)
        ) as task
        group by 1, 2, 3, 4
    ) as there, task_count_keys(there.name, there.status, block) as key
    group by project_id, key.name, key.status, key.level, key.number
    -- In the order of time, as they come up in use: what a question adds up lies together.
    order by project_id, key.status, key.level, key.number, key.name;
    analyze task_block, task_count;
end
$$;

-- --- answers ---

-- How many tasks there are in the blocks before one, by name, in any order and in pieces.
create function task_counts_of_blocks(project text, wanted_name text, wanted_status text, block bigint)
    returns table (name text, tasks bigint) language plpgsql stable as $$
#variable_conflict use_column
begin
    if wanted_name <> '' then
        return query
            select name, tasks from task_count
            where project_id = project and name = wanted_name and status = wanted_status
              and level = 3 and number < block >> 15
            union all
            select name, tasks from task_count
            where project_id = project and name = wanted_name and status = wanted_status
              and level = 2 and number >= (block >> 15) << 5 and number < block >> 10
            union all
            select name, tasks from task_count
            where project_id = project and name = wanted_name and status = wanted_status
              and level = 1 and number >= (block >> 10) << 5 and number < block >> 5
            union all
            select name, tasks from task_count
            where project_id = project and name = wanted_name and status = wanted_status
              and level = 0 and number >= (block >> 5) << 5 and number < block;
    else
        return query
            select name, tasks from task_count
            where project_id = project and status = wanted_status and name <> ''
              and level = 3 and number < block >> 15
            union all
            select name, tasks from task_count
            where project_id = project and status = wanted_status and name <> ''
              and level = 2 and number >= (block >> 15) << 5 and number < block >> 10
            union all
            select name, tasks from task_count
            where project_id = project and status = wanted_status and name <> ''
              and level = 1 and number >= (block >> 10) << 5 and number < block >> 5
            union all
            select name, tasks from task_count
            where project_id = project and status = wanted_status and name <> ''
              and level = 0 and number >= (block >> 5) << 5 and number < block;
    end if;
end
$$;

-- How many tasks there are before an id, by name; '' as name or status is any.
create function task_counts_before(project text, wanted_name text, wanted_status text, bound uuid)
    returns table (name text, tasks bigint) language plpgsql stable as $$
#variable_conflict use_column
declare
    block bigint;
    start uuid;
begin
    select number, after into block, start from task_block
    where project_id = project and after < bound order by after desc limit 1;
    block := coalesce(block, 0);
    start := coalesce(start, '00000000-0000-0000-0000-000000000000');
    return query
    select counted.name, sum(counted.tasks)::bigint from (
        select * from task_counts_of_blocks(project, wanted_name, wanted_status, block)
        union all
        select name, change from task_count_change
        where project_id = project and task_id <= start
          and (wanted_name = '' or name = wanted_name) and (wanted_status = '' or status = wanted_status)
        union all
        select name, count(*) from task
        where project_id = project and not hidden and id > start and id < bound and id >= (select id from task_floor)
          and (wanted_name = '' or name = wanted_name) and (wanted_status = '' or status = wanted_status)
        group by name
    ) as counted group by counted.name;
end
$$;

-- How many tasks there are in all, by name.
create function task_counts(project text, wanted_name text, wanted_status text)
    returns table (name text, tasks bigint) language sql stable as $$
    select name, sum(tasks)::bigint from (
        select counted.name, counted.tasks
        from (
            select task_count.name from task_count
            where project_id = project and level = 3 and status = '' and name <> ''
              and (wanted_name = '' or name = wanted_name)
            group by task_count.name
        ) as known, lateral (
            select task_count.name, tasks from task_count
            where project_id = project and task_count.name = known.name and status = wanted_status and level = 3
        ) as counted
        union all
        select name, change from task_count_change
        where project_id = project
          and (wanted_name = '' or name = wanted_name) and (wanted_status = '' or status = wanted_status)
    ) as counted group by name
$$;

-- The ids of tasks, newest first, without as many of the newest as `skip` says.
create function newest_task_ids(project text, wanted_name text, wanted_status text, skip bigint, wanted integer)
    returns uuid[] language plpgsql stable as $$
#variable_conflict use_column
declare
    floor uuid := (select id from task_floor);
    first bigint;                -- the range of blocks, on the level above
    last bigint;
    block bigint;
    newer bigint;
    changed_blocks bigint[];
    changes bigint[];
    found uuid[] := '{}';
begin
    if wanted_name = '' and wanted_status = '' and skip < 1024 then
        -- What most ask for is near.
        return array(select id from task where project_id = project and not hidden and id >= floor
                     order by id desc offset skip limit wanted);
    end if;
    -- The changes that are not in the counts yet, by block.
    select coalesce(array_agg(number), '{}'), coalesce(array_agg(change), '{}') into changed_blocks, changes from (
        select task_block_of(project, task_id) as number, sum(change) as change from task_count_change
        where project_id = project
          and (wanted_name = '' or name = wanted_name) and (wanted_status = '' or status = wanted_status)
        group by 1 having sum(change) <> 0
    ) as changed;
    -- Go down the levels to the block that the page begins in.
    for level_here in reverse 3..0 loop
        select number, before into block, newer from (
            select number, sum(tasks) as tasks,
                   sum(sum(tasks)) over (order by number desc) - sum(tasks) as before
            from (
                select number, tasks from task_count
                where project_id = project and name = wanted_name and status = wanted_status and level = level_here
                  and number >= coalesce(first, 0) and number <= coalesce(last, 1::bigint << 50)
                union all
                select number >> (5 * level_here), change from unnest(changed_blocks, changes) as changed (number, change)
                where number >> (5 * level_here) between coalesce(first, 0) and coalesce(last, 1::bigint << 50)
            ) as here group by number
        ) as counted where before + tasks > skip order by number desc limit 1;
        if block is null then
            return found;
        end if;
        skip := skip - newer;
        first := block << 5;
        last := first + 31;
    end loop;
    -- Take from it, and from the blocks before it that have any, until the page is full.
    while block is not null loop
        found := found || array(
            select id from task
            where project_id = project and not hidden
              and id > coalesce((select after from task_block where project_id = project and number = block),
                                '00000000-0000-0000-0000-000000000000')
              and id <= coalesce((select after from task_block where project_id = project and number = block + 1),
                                 'ffffffff-ffff-ffff-ffff-ffffffffffff')
              and id >= floor
              and (wanted_name = '' or name = wanted_name) and (wanted_status = '' or status = wanted_status)
            order by id desc offset skip limit wanted - cardinality(found));
        exit when cardinality(found) >= wanted;
        skip := 0;
        block := greatest(
            (select number from task_count
             where project_id = project and name = wanted_name and status = wanted_status and level = 0
               and number < block and tasks > 0
             order by number desc limit 1),
            (select max(number) from unnest(changed_blocks) as changed (number) where number < block));
    end loop;
    return found;
end
$$;

-- One page of `tasklist`: how many tasks match, their distinct names, and the ids of the page, newest first. Null does
-- not filter; `first` is inclusive, `beyond` exclusive. All is seen at one moment.
create function task_page(project text, wanted_id uuid, wanted_order text, wanted_instance text, wanted_name text,
                          wanted_status text, first uuid, beyond uuid, skip bigint, wanted integer,
                          out total_count bigint, out actions text[], out ids uuid[])
    language plpgsql stable set plan_cache_mode = force_generic_plan as $$
declare
    floor uuid := (select id from task_floor);
    newer bigint := 0;
    before_end bigint;
    matches text;
    name_key text := coalesce(wanted_name, '');
    status_key text := coalesce(wanted_status, '');
begin
    if first <= floor then
        first := null;
    end if;
    if wanted_id is not null or wanted_order is not null or wanted_instance is not null then
        -- Few tasks can match: look at each of them.
        matches := concat_ws(' and ', 'project_id = $1 and not hidden and id >= $2',
                             case when wanted_id is not null then 'id = $3' end,
                             case when wanted_order is not null then 'order_id = $4 and order_id <> ''''' end,
                             case when wanted_instance is not null then 'instance_id = $5' end,
                             case when wanted_name is not null then 'name = $6' end,
                             case when wanted_status is not null then 'status = $7' end,
                             case when first is not null then 'id >= $8' end,
                             case when beyond is not null then 'id < $9' end);
        execute format($query$
            select coalesce(sum(tasks), 0), coalesce(array_agg(name order by name), '{}')
            from (select name, count(*) as tasks from task where %s group by name) as counted $query$, matches)
        into total_count, actions
        using project, floor, wanted_id, wanted_order, wanted_instance, wanted_name, wanted_status, first, beyond;
        -- Not out of one scan with the count: what had to be remembered for that took twice as long as reading it.
        ids := '{}';
        if skip < total_count then
            execute format('select array(select id from task where %s order by id desc offset $10 limit $11)', matches)
            into ids
            using project, floor, wanted_id, wanted_order, wanted_instance, wanted_name, wanted_status, first, beyond,
                  skip, wanted;
        end if;
        return;
    end if;
    if first is null and beyond is null then
        select coalesce(sum(tasks), 0), coalesce(array_agg(name order by name) filter (where tasks > 0), '{}')
        into total_count, actions
        from task_counts(project, name_key, status_key);
    else
        -- Those before the end of the window, without those before its beginning.
        select coalesce(sum(until - since), 0), coalesce(array_agg(name order by name) filter (where until > since), '{}'),
               coalesce(sum(until), 0)
        into total_count, actions, before_end
        from (
            select name, sum(until) as until, sum(since) as since from (
                select name, tasks as until, 0 as since from task_counts(project, name_key, status_key)
                where beyond is null
                union all
                select name, tasks, 0 from task_counts_before(project, name_key, status_key, beyond)
                where beyond is not null
                union all
                select name, 0, tasks from task_counts_before(project, name_key, status_key, first)
                where first is not null
            ) as counted group by name
        ) as counted;
    end if;
    ids := '{}';
    if skip < total_count then
        if beyond is not null then
            newer := coalesce((select sum(tasks) from task_counts(project, name_key, status_key)), 0) - before_end;
        end if;
        ids := newest_task_ids(project, name_key, status_key, newer + skip, least(wanted, total_count - skip)::integer);
    end if;
end
$$;

-- --- ended tasks in the memory of API processes ---

-- Numbers the deletions of records, so that one can wait until every process has forgotten them. It wraps as its use as
-- a lock's key asks for.
create sequence task_deletion maxvalue 2147483647 cycle;
select nextval('task_deletion');

-- --- what there was before ---

insert into task_floor values (first_task_id(now() - interval '30 days'));
select create_task_partitions(
    coalesce((select min(created_at) from old_task), now()) - interval '7 days', now() + interval '28 days');
insert into task (id, project_id, operation, name, instance_id, instance_name, order_id, status, unwinding, hidden,
                  epoch, parameters, entities, fail_reason, created_at, changed_at, ended_at, progress, step_share,
                  step_expected, step_started_at, steps)
select id, project_id, operation, name, instance_id, instance_name, order_id, status, unwinding, hidden,
       epoch, parameters, entities, fail_reason, created_at, changed_at, ended_at, progress, step_share,
       step_expected, step_started_at,
       case when status = 'Running' then '[]' else coalesce((
           select jsonb_agg(jsonb_build_object(
               'name', step.name, 'status', step.status, 'host', step.host, 'attempts', step.attempts,
               'error', step.error, 'started_at', step.started_at, 'ended_at', step.ended_at) order by position)
           from step where task_id = old_task.id), '[]') end
from old_task;
delete from step using task where task.id = step.task_id and task.status <> 'Running';
drop table old_task;
