-- By what means a host passes connections on from one address to another; empty where it has none.
alter table host add column forwarding text not null default '';
