#pragma once
#include <libpq-fe.h>

// Character-literal and cast macros are not imported into Swift; these give their values.
static inline int sc_pg_diag_severity(void) { return PG_DIAG_SEVERITY_NONLOCALIZED; }
static inline int sc_pg_diag_sqlstate(void) { return PG_DIAG_SQLSTATE; }
static inline int sc_pg_diag_message(void) { return PG_DIAG_MESSAGE_PRIMARY; }
static inline int sc_pg_diag_hint(void) { return PG_DIAG_MESSAGE_HINT; }
static inline int sc_pg_diag_schema(void) { return PG_DIAG_SCHEMA_NAME; }
static inline int sc_pg_diag_table(void) { return PG_DIAG_TABLE_NAME; }
static inline int sc_pg_diag_constraint(void) { return PG_DIAG_CONSTRAINT_NAME; }
