-- Whether the values in slow statements are shown.
alter table instance add column slow_log_with_values boolean not null default false;

-- How its volumes grow by themselves; null where they do not.
alter table instance add column growth jsonb;
