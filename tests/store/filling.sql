-- A store in which there is much of everything, as a service has it after years: 50 projects, 100 hosts, 4000 instances with a public address,
-- 30,000 tasks of three weeks of which 2000 run, and what belongs to them. Ids count up: `i7`, `n7`, `b7`, `p7`, `h7`.
-- `tests.now` is the moment from which times and the ids of tasks go back.
set local session_replication_role = replica;  -- the triggers would count for minutes

create function pg_temp.task_id(number integer) returns uuid language sql as $$
    select rpad(lpad(to_hex(floor(extract(epoch from current_setting('tests.now')::timestamptz - number * interval '1 minute') * 1000)::bigint), 12, '0')
                || lpad(to_hex(number), 8, '0'), 32, '0')::uuid
$$;
-- Weeks of tasks end at the same distance from now on each day: what is cheapest depends on how full the newest is.
do $$
declare
    partition regclass;
    week timestamptz;
begin
    for partition in select inhrelid from pg_inherits where inhparent = 'task'::regclass loop
        execute format('drop table %s', partition);
    end loop;
    for week in select generate_series(now() - interval '31 days', now() + interval '11 days', '7 days') loop
        execute format('create table %I partition of task for values from (%L) to (%L)', 'task_' || to_char(week, 'YYYYMMDD'),
                       first_task_id(week), first_task_id(week + interval '7 days'));
    end loop;
end
$$;

insert into project (id, name, domain_id, domain_name) select 'p' || n, 'project ' || n, 'd', 'd' from generate_series(0, 49) as n
on conflict do nothing;
insert into host (name, availability_zone) select 'h' || n, 'local-1a' from generate_series(0, 99) as n;
insert into instance (id, project_id, name, engine, version, complete_version, type, status, wanted, flavor_ref,
                      volume_type, volume_size, port, availability_zone, vpc_id, subnet_id, security_group_id,
                      backup_start_time, backup_keep_days, created_at, replica_of, stopped_at, address, dns_label)
select 'i' || n, 'p' || n % 50, 'db-' || n, 'PostgreSQL', '16', '16.4',
       case when n % 10 = 9 then 'Replica' else 'Single' end, case when n % 100 = 7 then 'SHUTDOWN' else 'ACTIVE' end,
       case when n % 100 = 7 then 'stopped' else 'serving' end,
       'rds.pg.n1.medium.2', 'CLOUDSSD', 40, 5432, 'local-1a', 'v', 's', 'g', '00:00-01:00', 7,
       now() - n * interval '1 hour', case when n % 10 = 9 then 'i' || n - 1 end, now(), '10.0.0.0'::inet + n,
       'name' || n
from generate_series(0, 3999) as n;
insert into node (id, instance_id, name, role, host, availability_zone, address)
select 'n' || n, 'i' || n, 'node', case when n % 10 = 9 then 'readreplica' else 'master' end, 'h' || n % 100, 'local-1a',
       '10.0.0.0'::inet + n
from generate_series(0, 3999) as n;
insert into address (host, address, instance_id) select 'h' || n % 100, '10.0.0.0'::inet + n, 'i' || n from generate_series(0, 3999) as n;
insert into configuration (id, project_id, name, engine, version)
select 'c' || n, 'p' || n % 50, 'group ' || n, 'PostgreSQL', '16' from generate_series(0, 3999) as n;
insert into parameter_change (instance_id, name, old_value, new_value, succeeded)
select 'i' || n % 2000, 'work_mem', null, '8192', true from generate_series(0, 9999) as n;
insert into version_report (id, instance_id, kind, old_version, new_version, begun_at)
select lpad(to_hex(n), 32, '0')::uuid, 'i' || n % 2000, 'check', '16', '17', now() - n * interval '1 minute'
from generate_series(100, 10099) as n;
insert into access_change (instance_id, before, after, succeeded)
select 'i' || n % 2000, '[]', '[]', true from generate_series(0, 9999) as n;
insert into configuration_application (project_id, configuration_id, instance_id, instance_name, succeeded)
select 'p' || n % 50, 'c' || n % 2000, 'i' || n % 2000, 'db', true from generate_series(0, 9999) as n;
insert into public_address (address, instance_id, bound) select '11.0.0.0'::inet + n, 'i' || n, true from generate_series(0, 3999) as n;
insert into dns_name (label, project_id, instance_id, left_at)
select 'name' || n, 'p' || n % 50, case when n < 4000 then 'i' || n end, case when n >= 4000 then now() - n * interval '1 minute' end
from generate_series(0, 9999) as n;
insert into os_user (instance_id, host, uid, handed_over) select 'i' || n, 'h' || n % 100, 100000 + n, true from generate_series(0, 3999) as n;

insert into task (id, project_id, operation, name, instance_id, instance_name, status, parameters, created_at, changed_at, order_id)
select pg_temp.task_id(n), 'p' || n % 50, 'back_up', 'CreateManualSnapshot', 'i' || n % 4000, 'db', case when n < 2000 then 'Running' else 'Completed' end,
       '{}', now() - n * interval '1 minute', now() - n * interval '1 minute', case when n % 3 = 0 then 'o' || n else '' end
from generate_series(0, 29999) as n;
insert into step (task_id, position, name, host, expected)
select pg_temp.task_id(n), position, 'copy data', 'h' || n % 100, '1 s' from generate_series(0, 1999) as n, generate_series(0, 6) as position;
insert into due_step (task_id, project_id, host, worker)
select pg_temp.task_id(n), 'p' || n % 50, 'h' || n % 100, case when n % 2 = 0 then '00000000-0000-0000-0000-000000000001'::uuid end
from generate_series(0, 1999) as n;
insert into instance_lock (instance_id, task_id) select 'i' || n, pg_temp.task_id(n) from generate_series(0, 1999) as n;
insert into worker (id, host, seen_at) select '00000000-0000-0000-0000-000000000001', 'h' || n, now() from generate_series(0, 0) as n;
insert into step_duration (operation, step, seconds) select 'back_up', 'step ' || n, 1 from generate_series(0, 199) as n;

insert into backup (id, project_id, instance_id, instance_name, host, name, type, status, engine, version, complete_version,
                    volume_size, begin_time, end_time, continuous)
select 'b' || n, 'p' || n % 50, 'i' || n % 4000, 'db', 'h' || n % 100, 'backup-' || n, case when n % 2 = 0 then 'manual' else 'auto' end,
       case when n >= 19990 then 'BUILDING' when n >= 19980 then 'DELETING' else 'COMPLETED' end, 'PostgreSQL', '16', '16.4', 40,
       now() - n * interval '1 minute', now() - n * interval '1 minute', true
from generate_series(0, 19999) as n;
insert into scheduled_task (id, project_id, name, instance_id, instance_name, engine, volume_type, task_name, request, status,
                            created_at, starts_at, ends_at)
select pg_temp.task_id(n), 'p' || n % 50, 'later', 'i' || n % 4000, 'db', 'PostgreSQL', 'CLOUDSSD', 'RestartInstance', '{}',
       case when n < 10 then 'Pending' else 'Running' end, now() - n * interval '1 minute', now() - interval '1 minute', now() + interval '1 hour'
from generate_series(0, 9999) as n;
insert into vpc (id, project_id, name, description, cidr, enterprise_project_id)
select 'v' || n, 'p' || n % 50, 'vpc', '', '10.0.0.0/8', '0' from generate_series(0, 3999) as n;
insert into subnet (id, neutron_subnet_id, project_id, vpc_id, name, description, cidr, gateway_ip, dhcp_enable, dns_list, availability_zone)
select 's' || n, 'ns' || n, 'p' || n % 50, 'v' || n, 'subnet', '', '10.0.0.0/8', '10.0.0.1', true, '{}', 'local-1a'
from generate_series(0, 3999) as n;
insert into security_group (id, project_id, name, description, enterprise_project_id)
select 'g' || n, 'p' || n % 50, 'group', '', '0' from generate_series(0, 3999) as n;
insert into security_group_rule (id, project_id, security_group_id, direction, ethertype, ports, action, priority, description)
select 'r' || n, 'p' || n % 50, 'g' || n % 4000, 'ingress', 'IPv4', '', 'allow', 1, '' from generate_series(0, 19999) as n;
insert into answer (key, request_hash, expires_at)
select 'k' || n, '', now() + n * interval '1 minute' from generate_series(1, 10000) as n;
insert into account (access_key, secret_key, user_id, user_name, password_hash, project_id)
select 'a' || n, 's', 'u' || n, 'user' || n, '', 'p' || n from generate_series(0, 49) as n;
insert into console_session (id_hash, access_key, mark)
select convert_to('h' || n, 'UTF8'), 'k' || n % 500, 'm' from generate_series(1, 20000) as n;
insert into revoked_session (session, user_id, expires_at)
select 's' || n, 'u1', now() + n * interval '1 minute' from generate_series(1, 5000) as n;
insert into webhook (id, project_id, url, subjects, enabled, secret)
select 'w' || n, 'p' || n % 50, 'https://hooks.example.com', '{}', true, '' from generate_series(0, 499) as n;
insert into webhook_delivery (webhook_id, type, at, data, due_at)
select 'w' || n % 500, 'task.changed', now(), '{}', case when n % 40 < 2 then now() + n * interval '1 second' end
from generate_series(0, 19999) as n;
insert into webhook_delivery (id, webhook_id, type, at, data, due_at)
select '00000000-0000-0000-0000-000000000007', 'w7', 'task.changed', now(), '{}', now();
select recount_tasks();
