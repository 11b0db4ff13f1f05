-- Whether commits of the primary wait for this standby: `no`; `asked`, from now on; `yes`, and it has all that was
-- acknowledged before. Of an instance that replicates synchronously only a standby that says `yes` is promoted.
alter table node add column confirmation text not null default 'no';
