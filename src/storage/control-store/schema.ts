/** The control tables, one statement a step, so that every driver can run them. Steps are only ever added. */
export const CONTROL_SCHEMA: readonly string[] = [
  // One row: the newest commit and the hash of its audit entry. Whoever commits holds its lock, so commits have an order.
  `create table control_head (one int primary key default 1 check (one = 1), commit bigint not null, hash text not null)`,
  `insert into control_head (commit, hash) values (0, '')`,
  // Ids are compared byte by byte, whatever language the server speaks.
  `create table control_object (
    kind text collate "C" not null,
    id text collate "C" not null,
    organization text collate "C" not null,
    version bigint not null,
    commit bigint not null,
    body json not null,
    primary key (kind, id)
  )`,
  `create index control_object_by_commit on control_object (commit)`,
  `create index control_object_of_organization on control_object (kind, organization, id)`,
  `create table control_audit (
    sequence bigint primary key,
    organization text collate "C",
    entry json not null,
    hash text not null
  )`,
  `create index control_audit_of_organization on control_audit (organization, sequence)`,
  `create table control_gateway (id text primary key, name text not null, commit bigint not null, seen_at timestamptz not null)`,
];
