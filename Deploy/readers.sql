-- Gives Grafana a role of its own that reads the published views of the schema smartcontent and nothing else.
-- The password comes as the setting grafana.password; another one is taken over when this runs again.
--   PGOPTIONS="-c grafana.password=…" psql --file readers.sql
do $$ begin
  if not exists (select from pg_roles where rolname = 'smartcontent_read') then
    create role smartcontent_read nologin;
  end if;
  if not exists (select from pg_roles where rolname = 'grafana') then
    create role grafana login;
  end if;
  execute format('alter role grafana password %L', current_setting('grafana.password'));
  grant smartcontent_read to grafana;
  alter role grafana set default_transaction_read_only = on;
  -- A switch to another version waits for the readers of its views, for 20 s at most.
  alter role grafana set statement_timeout = '15s';
end $$;
