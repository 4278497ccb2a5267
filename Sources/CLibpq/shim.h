#pragma once
#include <libpq-fe.h>

// PG_DIAG_… are character macros, which Swift does not import as the int that PQresultErrorField takes.
static inline const char *apir_error_state(const PGresult *result) { return PQresultErrorField(result, PG_DIAG_SQLSTATE); }
static inline const char *apir_error_constraint(const PGresult *result) {
    return PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME);
}
static inline const char *apir_error_message(const PGresult *result) {
    return PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
}
// Notices of the server ("table exists, skipping") would go to stderr.
static inline void apir_ignore_notice(void *context, const char *message) { (void)context; (void)message; }
static inline void apir_silence(PGconn *connection) { PQsetNoticeProcessor(connection, apir_ignore_notice, 0); }
