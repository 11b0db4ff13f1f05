-- What projects make of the network beside their default VPC, subnet and security group, which follow from the settings
-- and have no rows. So what names a VPC, a subnet or a group here may also mean a default one.

create table vpc (
    id                    text primary key,
    project_id            text not null references project,
    name                  text not null,
    description           text not null,
    cidr                  text not null,   -- empty where it was left open
    enterprise_project_id text not null,
    created_at            timestamptz not null default now(),
    updated_at            timestamptz not null default now()
);
create index vpc_of_project on vpc (project_id, created_at);

-- A network without a range of addresses is one whose subnet has not been made yet, in Neutron's words.
create table subnet (
    id                text primary key,
    neutron_subnet_id text not null unique,
    project_id        text not null references project,
    vpc_id            text not null,   -- empty while no router has it
    name              text not null,
    description       text not null,
    cidr              text not null,
    gateway_ip        text not null,
    dhcp_enable       boolean not null,
    dns_list          text[] not null,
    availability_zone text not null,
    created_at        timestamptz not null default now(),
    updated_at        timestamptz not null default now()
);
create index subnet_of_project on subnet (project_id, created_at);

create table security_group (
    id                    text primary key,
    project_id            text not null references project,
    name                  text not null,
    description           text not null,
    enterprise_project_id text not null,
    created_at            timestamptz not null default now(),
    updated_at            timestamptz not null default now()
);
create index security_group_of_project on security_group (project_id, created_at);

create table security_group_rule (
    id                text primary key,
    project_id        text not null references project,
    security_group_id text not null,
    direction         text not null,
    ethertype         text not null,
    protocol          text,            -- any where it is null
    ports             text not null,   -- such as `22,80-90`; empty for all
    remote_ip_prefix  text,
    remote_group_id   text,
    action            text not null,
    priority          integer not null,
    description       text not null,
    created_at        timestamptz not null default now(),
    updated_at        timestamptz not null default now()
);
create index security_group_rule_of_project on security_group_rule (project_id, created_at);
create index security_group_rule_of_group on security_group_rule (security_group_id);

create trigger tell_of_rule after insert or delete on security_group_rule
    for each row execute function tell_of_change('network');
