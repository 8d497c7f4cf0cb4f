/** The usage tables, one statement a step, so that every driver can run them. Steps are only ever added. */
export const USAGE_SCHEMA: readonly string[] = [
  `create table usage_journal (
    id text primary key,
    position bigint not null,
    records_lost bigint not null
  )`,
  // Null is a group of its own, and "nulls not distinct" makes it one row (PostgreSQL 15 or newer).
  `create table usage_day (
    day int not null,
    organization text, workspace text, key text, model text,
    outcome text not null,
    requests bigint not null,
    input bigint not null, cache_read bigint not null, cache_write bigint not null, output bigint not null,
    estimated bigint not null,
    cost_micro_usd bigint not null,
    unpriced bigint not null,
    unique nulls not distinct (day, organization, workspace, key, model, outcome)
  )`,
  `create index usage_day_of_organization on usage_day (organization, day)`,
  // Whole records, many to a row and compressed: a row each costs five times the time and twenty times the space.
  `create table usage_block (
    journal text not null,
    first_sequence bigint not null,
    records int not null,
    first_at_ms bigint not null,
    last_at_ms bigint not null,
    payload bytea not null,
    primary key (journal, first_sequence)
  )`,
  `alter table usage_block alter payload set storage external`,
  `create index usage_block_by_time on usage_block (last_at_ms, journal, first_sequence)`,
];
