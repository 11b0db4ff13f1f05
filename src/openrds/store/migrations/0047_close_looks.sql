-- At which interval the nodes of an instance are measured besides each minute, in seconds; null where they are not.
alter table instance add column monitor_interval smallint;

-- What is measured of them at that interval, for an hour.
create table node_close_sample (
    like node_sample including indexes,
    foreign key (node_id) references node (id) on delete cascade
);
