// Reads HTTP/1.1 responses as they come, keeping nothing of the body.
#pragma once
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef enum { IN_HEAD, IN_BODY, IN_SIZE, IN_CHUNK, IN_CHUNK_END, IN_TRAILER, UNTIL_CLOSE } Phase;
typedef enum { MORE, DONE, BROKEN } Verdict;

typedef struct {
    Phase phase;
    int status, retry_after, closes, event_stream;
    uint64_t left;            // of the body or the chunk
    char line[8192];          // of the head, of a chunk's size, of a trailer
    size_t line_len;
    char tail[8];             // the last bytes of the body before its last line feeds, to see [DONE]
    int stamp_state;          // 0 = looking for @, n = n - 1 digits read
    uint64_t stamp;
} Response;

typedef void (*StampSeen)(void *context, uint64_t stamp);

static inline void response_reset(Response *r) {
    r->phase = IN_HEAD;
    r->status = r->retry_after = r->closes = r->event_stream = r->stamp_state = 0;
    r->line_len = 0;
    memset(r->tail, 0, sizeof r->tail);
}

// The times that the upstream wrote into its events, and the last characters.
static inline void response_body(Response *r, const char *at, size_t n, StampSeen seen, void *context) {
    if (!r->event_stream) return;
    for (size_t i = 0; i < n;) {
        if (!r->stamp_state) {
            const char *mark = memchr(at + i, '@', n - i);
            if (!mark) break;
            i = (size_t)(mark - at) + 1;
            r->stamp_state = 1;
            r->stamp = 0;
        } else if (at[i] >= '0' && at[i] <= '9') {
            r->stamp = r->stamp * 10 + (uint64_t)(at[i++] - '0');
            r->stamp_state++;
        } else {
            if (at[i++] == '@' && r->stamp_state > 10) seen(context, r->stamp);
            r->stamp_state = 0;
        }
    }
    size_t from = n > 64 ? n - 64 : 0;
    for (size_t i = from; i < n; i++) {
        if (at[i] == '\n' || at[i] == '\r') continue;
        memmove(r->tail, r->tail + 1, 6);
        r->tail[6] = at[i];
    }
}

static inline int response_said_done(const Response *r) { return !memcmp(r->tail + 1, "[DONE]", 6); }

static inline char *response_field(char *head, const char *name) {
    char *at = strcasestr(head, name);
    if (!at) return NULL;
    at += strlen(name);
    while (*at == ' ') at++;
    return at;
}

static inline Verdict response_head(Response *r) {
    r->line[r->line_len] = 0;
    if (strncmp(r->line, "HTTP/1.", 7)) return BROKEN;
    r->status = atoi(r->line + 9);
    r->line_len = 0;
    if (r->status == 100) return MORE;
    char *value = response_field(r->line, "\r\nconnection:");
    r->closes = value && !strncasecmp(value, "close", 5);
    r->retry_after = response_field(r->line, "\r\nretry-after:") != NULL;
    value = response_field(r->line, "\r\ncontent-type:");
    r->event_stream = value && !strncasecmp(value, "text/event-stream", 17);
    value = response_field(r->line, "\r\ntransfer-encoding:");
    if (value && !strncasecmp(value, "chunked", 7)) { r->phase = IN_SIZE; return MORE; }
    value = response_field(r->line, "\r\ncontent-length:");
    if (!value) { r->phase = UNTIL_CLOSE; r->closes = 1; return MORE; }
    r->left = strtoull(value, NULL, 10);
    r->phase = IN_BODY;
    return r->left ? MORE : DONE;
}

// A whole line of the framing has come.
static inline Verdict response_line(Response *r) {
    r->line[r->line_len] = 0;
    size_t length = r->line_len;
    r->line_len = 0;
    if (r->phase == IN_TRAILER) return length <= 2 ? DONE : MORE;
    if (r->phase == IN_CHUNK_END) { r->phase = IN_SIZE; return length <= 2 ? MORE : BROKEN; }
    char *end;
    r->left = strtoull(r->line, &end, 16);
    if (end == r->line) return BROKEN;
    r->phase = r->left ? IN_CHUNK : IN_TRAILER;
    return MORE;
}

// Feeds bytes. `used` is how many belong to this response.
static inline Verdict response_feed(Response *r, const char *at, size_t n, size_t *used, StampSeen seen, void *context) {
    size_t i = 0;
    Verdict verdict = MORE;
    while (i < n && verdict == MORE) {
        if (r->phase == UNTIL_CLOSE) {
            response_body(r, at + i, n - i, seen, context);
            i = n;
        } else if (r->phase == IN_BODY || r->phase == IN_CHUNK) {
            size_t part = n - i < r->left ? n - i : (size_t)r->left;
            response_body(r, at + i, part, seen, context);
            i += part;
            r->left -= part;
            if (!r->left && r->phase == IN_BODY) verdict = DONE;
            if (!r->left && r->phase == IN_CHUNK) r->phase = IN_CHUNK_END;
        } else {
            if (r->line_len >= sizeof r->line - 1) return BROKEN;
            char byte = at[i++];
            r->line[r->line_len++] = byte;
            if (byte != '\n') continue;
            if (r->phase != IN_HEAD) verdict = response_line(r);
            else if (r->line_len >= 4 && !memcmp(r->line + r->line_len - 4, "\r\n\r\n", 4)) verdict = response_head(r);
        }
    }
    *used = i;
    return verdict;
}
