-- Whether the servers of an instance speak TLS with clients that ask for it.
alter table instance add column ssl boolean not null default true;
