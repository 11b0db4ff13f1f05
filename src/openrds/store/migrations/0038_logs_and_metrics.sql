-- Whether the values in slow statements are shown.
alter table instance add column slow_log_with_values boolean not null default false;
