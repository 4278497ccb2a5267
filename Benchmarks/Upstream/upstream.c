// The upstream of the benchmarks: one thread, epoll, HTTP/1.1 keep-alive, as little work per request as possible, so that it is not what is measured.
//
//   upstream PORT
//
// What it answers is said by the model's name, because a model is what every gateway passes on:
//   bench-w-BYTES[-DELAY_MS]                       a whole chat completion with BYTES of text
//   bench-s-CHUNKS-PACE_MS-BYTES[-DELAY_MS]        a stream of CHUNKS events of BYTES each, one each PACE_MS (0 = as fast as they are taken)
//   anything else                                  as bench-w-1024, or bench-s-50-0-220 when the body says "stream":true
// Each event's text begins with @NANOSECONDS@, the CLOCK_MONOTONIC of its writing. Each event is one HTTP chunk and one write.
// GET /bench/stats tells counters; other GETs are answered so that routers take it for a healthy worker.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_FD = 65536, MAX_EVENT = 65536, CHUNKS_PER_TURN = 8, CACHED = 64 };

typedef struct {
    char *in, *out;           // what came and is not used up; what the socket did not take
    size_t in_len, in_cap, out_len, out_cap, out_at;
    uint32_t generation;      // of the descriptor, so that a timer of an earlier connection is known
    int open, busy, streaming, parked, writable_wanted, wants_usage, told_continue;
    int left, pace_ms, bytes; // of the stream
    uint64_t due;
    char *whole;              // answer to be written at `due`, when it was asked to wait
    size_t whole_len;
} Conn;

typedef struct { uint64_t due; int fd; uint32_t generation; } Timer;

static Conn conns[MAX_FD];
static Timer heap[MAX_FD * 4];
static int heap_len, poller;
static struct { long requests, streams, chunks, cancelled, connections, open_streams; } stats;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void *grown(void *at, size_t *cap, size_t need) {
    if (need <= *cap) return at;
    size_t size = *cap ? *cap : 4096;
    while (size < need) size *= 2;
    if (!(at = realloc(at, size))) { perror("realloc"); exit(1); }
    *cap = size;
    return at;
}

// ---- timers: a heap by the time that is due

static void timer_add(int fd, uint64_t due) {
    if (heap_len == (int)(sizeof heap / sizeof *heap)) return;
    int i = heap_len++;
    Timer t = {due, fd, conns[fd].generation};
    conns[fd].due = due;
    for (; i > 0 && heap[(i - 1) / 2].due > due; i = (i - 1) / 2) heap[i] = heap[(i - 1) / 2];
    heap[i] = t;
}

static Timer timer_pop(void) {
    Timer first = heap[0], last = heap[--heap_len];
    int i = 0;
    for (int child; (child = 2 * i + 1) < heap_len; i = child) {
        if (child + 1 < heap_len && heap[child + 1].due < heap[child].due) child++;
        if (heap[child].due >= last.due) break;
        heap[i] = heap[child];
    }
    heap[i] = last;
    return first;
}

// ---- connections

static void shut(int fd) {
    Conn *c = &conns[fd];
    if (c->streaming) { stats.cancelled++; stats.open_streams--; }
    stats.connections--;
    close(fd);
    free(c->in);
    free(c->out);
    free(c->whole);
    uint32_t generation = c->generation + 1;
    memset(c, 0, sizeof *c);
    c->generation = generation;
}

static void want_writable(int fd, int wanted) {
    if (conns[fd].writable_wanted == wanted) return;
    conns[fd].writable_wanted = wanted;
    struct epoll_event e = {.events = EPOLLIN | EPOLLRDHUP | (wanted ? EPOLLOUT : 0), .data.fd = fd};
    epoll_ctl(poller, EPOLL_CTL_MOD, fd, &e);
}

// Returns whether the connection still stands.
static int put(int fd, const char *bytes, size_t n) {
    Conn *c = &conns[fd];
    if (c->out_len == c->out_at) {
        ssize_t done = send(fd, bytes, n, MSG_NOSIGNAL);
        if (done < 0 && errno != EAGAIN) { shut(fd); return 0; }
        if (done < 0) done = 0;
        bytes += done;
        n -= (size_t)done;
        c->out_len = c->out_at = 0;
    }
    if (n) {
        c->out = grown(c->out, &c->out_cap, c->out_len + n);
        memcpy(c->out + c->out_len, bytes, n);
        c->out_len += n;
        want_writable(fd, 1);
    }
    return 1;
}

// ---- answers

typedef struct { int bytes; char *text; size_t len; } Rendered;

static Rendered *whole_answer(int bytes) {
    static Rendered cache[CACHED];
    Rendered *r = &cache[(unsigned)bytes % CACHED];
    if (r->text && r->bytes == bytes) return r;
    free(r->text);
    char *filler = malloc((size_t)bytes + 1);
    for (int i = 0; i < bytes; i++) filler[i] = "lorem ipsum dolor sit amet "[i % 27];
    filler[bytes] = 0;
    char *body = NULL;
    int n = asprintf(&body,
        "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"bench\",\"choices\":[{\"index\":0,"
        "\"message\":{\"role\":\"assistant\",\"content\":\"%s\"},\"finish_reason\":\"stop\"}],"
        "\"usage\":{\"prompt_tokens\":250,\"completion_tokens\":%d,\"total_tokens\":%d}}", filler, bytes / 4 + 1, 251 + bytes / 4);
    r->len = (size_t)asprintf(&r->text,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", n, body);
    r->bytes = bytes;
    free(filler);
    free(body);
    return r;
}

static const char CHUNK_HEAD[] = "data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"bench\","
    "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"@";
static const char CHUNK_TAIL[] = "\"},\"finish_reason\":null}]}\n\n";
static const char STREAM_HEAD[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n";
static const char STREAM_STOP[] = "data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"bench\","
    "\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
static const char STREAM_USAGE[] = "data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"bench\","
    "\"choices\":[],\"usage\":{\"prompt_tokens\":250,\"completion_tokens\":200,\"total_tokens\":450}}\n\n";

static size_t render_chunk(char *at, int bytes, uint64_t stamp) {
    size_t fixed = sizeof CHUNK_HEAD - 1 + 20 + sizeof CHUNK_TAIL - 1;
    size_t filler = (size_t)bytes > fixed ? (size_t)bytes - fixed : 1;
    size_t n = (size_t)sprintf(at, "%zx\r\n", fixed + filler);
    memcpy(at + n, CHUNK_HEAD, sizeof CHUNK_HEAD - 1);
    n += sizeof CHUNK_HEAD - 1;
    for (int i = 18; i >= 0; i--, stamp /= 10) at[n + (size_t)i] = (char)('0' + stamp % 10);
    at[n + 19] = '@';
    memset(at + n + 20, 'x', filler);
    n += 20 + filler;
    memcpy(at + n, CHUNK_TAIL, sizeof CHUNK_TAIL - 1);
    n += sizeof CHUNK_TAIL - 1;
    memcpy(at + n, "\r\n", 2);
    return n + 2;
}

static void take_requests(int fd);

static void stream_turn(int fd) {
    static char text[MAX_EVENT + 1024];
    Conn *c = &conns[fd];
    if (c->out_len > c->out_at) { c->parked = 1; return; } // taken slowly: on_writable goes on
    for (int i = 0; c->left > 0 && i < (c->pace_ms ? 1 : CHUNKS_PER_TURN); i++) {
        size_t n = render_chunk(text, c->bytes, now_ns());
        stats.chunks++;
        c->left--;
        if (!put(fd, text, n)) return;
        if (c->out_len > c->out_at) break;
    }
    if (c->left > 0) {
        timer_add(fd, c->pace_ms ? c->due + (uint64_t)c->pace_ms * 1000000u : now_ns());
        return;
    }
    int n = sprintf(text, "%zx\r\n%s\r\n", sizeof STREAM_STOP - 1, STREAM_STOP);
    if (c->wants_usage) n += sprintf(text + n, "%zx\r\n%s\r\n", sizeof STREAM_USAGE - 1, STREAM_USAGE);
    n += sprintf(text + n, "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n");
    c->streaming = c->busy = 0;
    stats.open_streams--;
    if (put(fd, text, (size_t)n)) take_requests(fd);
}

static void fire(int fd) {
    Conn *c = &conns[fd];
    if (c->whole) {
        char *text = c->whole;
        c->whole = NULL;
        c->busy = 0;
        int stands = put(fd, text, c->whole_len);
        free(text);
        if (stands) take_requests(fd);
    } else if (c->streaming) {
        stream_turn(fd);
    }
}

static int has(const char *at, size_t n, const char *compact, const char *spaced) {
    return memmem(at, n, compact, strlen(compact)) || memmem(at, n, spaced, strlen(spaced));
}

// Answers the request whose body this is. Returns whether the connection still stands.
static int answer(int fd, const char *body, size_t n) {
    Conn *c = &conns[fd];
    char model[128] = "";
    const char *at = memmem(body, n, "\"model\":", 8);
    if (at) {
        const char *end = body + n;
        for (at += 8; at < end && (*at == ' ' || *at == '"'); at++) {}
        size_t length = 0;
        while (at + length < end && at[length] != '"' && length < sizeof model - 1) length++;
        memcpy(model, at, length);
    }
    int chunks = 50, pace = 0, bytes = 0, delay = 0;
    stats.requests++;
    int stream = sscanf(model, "bench-s-%d-%d-%d-%d", &chunks, &pace, &bytes, &delay) >= 3;
    if (!stream && sscanf(model, "bench-w-%d-%d", &bytes, &delay) < 1) {
        stream = has(body, n, "\"stream\":true", "\"stream\": true");
        bytes = stream ? 220 : 1024;
    }
    c->busy = 1;
    if (!stream) {
        Rendered *r = whole_answer(bytes);
        if (delay) {
            c->whole = malloc(r->len);
            memcpy(c->whole, r->text, r->len);
            c->whole_len = r->len;
            timer_add(fd, now_ns() + (uint64_t)delay * 1000000u);
            return 1;
        }
        c->busy = 0;
        return put(fd, r->text, r->len);
    }
    c->wants_usage = has(body, n, "\"include_usage\":true", "\"include_usage\": true");
    c->left = chunks;
    c->pace_ms = pace;
    c->bytes = bytes < MAX_EVENT ? bytes : MAX_EVENT;
    c->streaming = 1;
    stats.streams++;
    stats.open_streams++;
    if (!put(fd, STREAM_HEAD, sizeof STREAM_HEAD - 1)) return 0;
    timer_add(fd, now_ns() + (uint64_t)delay * 1000000u);
    return 1;
}

static int answer_get(int fd, const char *head) {
    char body[512], text[1024];
    if (!strncmp(head, "GET /bench/stats", 16))
        sprintf(body, "{\"requests\":%ld,\"streams\":%ld,\"chunks\":%ld,\"cancelled\":%ld,\"connections\":%ld,\"open_streams\":%ld}",
                stats.requests, stats.streams, stats.chunks, stats.cancelled, stats.connections, stats.open_streams);
    else
        sprintf(body, "{\"status\":\"ok\",\"object\":\"list\",\"data\":[{\"id\":\"bench\",\"object\":\"model\",\"owned_by\":\"bench\"}],"
                      "\"model_path\":\"bench\",\"tokenizer_path\":\"bench\",\"is_generation\":true}");
    int n = sprintf(text, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
    return put(fd, text, (size_t)n);
}

// Answers every whole request that has come, one at a time.
static void take_requests(int fd) {
    Conn *c = &conns[fd];
    while (c->open && !c->busy && c->in_len) {
        char *end = memmem(c->in, c->in_len, "\r\n\r\n", 4);
        if (!end) return;
        size_t head = (size_t)(end - c->in) + 4, body = 0;
        *end = 0;
        char *length = strcasestr(c->in, "\r\ncontent-length:");
        int chunked = strcasestr(c->in, "\r\ntransfer-encoding:") != NULL;
        int expects = strcasestr(c->in, "\r\nexpect: 100") != NULL, get = !strncmp(c->in, "GET ", 4) || !strncmp(c->in, "HEAD ", 5);
        *end = '\r';
        if (length) body = strtoul(length + 17, NULL, 10);
        if (chunked) {
            char *last = memmem(c->in + head - 2, c->in_len - head + 2, "\r\n0\r\n\r\n", 7);
            body = last ? (size_t)(last + 7 - c->in) - head : SIZE_MAX / 2;
        }
        if (c->in_len < head + body) {
            if (expects && !c->told_continue) {
                c->told_continue = 1;
                put(fd, "HTTP/1.1 100 Continue\r\n\r\n", 25);
            }
            return;
        }
        c->told_continue = 0;
        int stands = get ? answer_get(fd, c->in) : answer(fd, c->in + head, body);
        if (!stands) return;
        c->in_len -= head + body;
        if (c->in_len) memmove(c->in, c->in + head + body, c->in_len);
    }
}

static void on_readable(int fd) {
    Conn *c = &conns[fd];
    for (;;) {
        c->in = grown(c->in, &c->in_cap, c->in_len + 16384);
        size_t room = c->in_cap - c->in_len;
        ssize_t n = recv(fd, c->in + c->in_len, room, 0);
        if (n < 0 && errno == EAGAIN) break;
        if (n <= 0) { shut(fd); return; }
        c->in_len += (size_t)n;
        if ((size_t)n < room) break;
    }
    take_requests(fd);
}

static void on_writable(int fd) {
    Conn *c = &conns[fd];
    ssize_t n = send(fd, c->out + c->out_at, c->out_len - c->out_at, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) { shut(fd); return; }
    if (n > 0) c->out_at += (size_t)n;
    if (c->out_at == c->out_len) { c->out_at = c->out_len = 0; want_writable(fd, 0); }
    if (c->parked && c->out_len == c->out_at) { c->parked = 0; timer_add(fd, now_ns()); }
}

static void on_accept(int listener) {
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
        if (fd >= MAX_FD) { close(fd); continue; }
        int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        conns[fd].open = 1;
        stats.connections++;
        struct epoll_event e = {.events = EPOLLIN | EPOLLRDHUP, .data.fd = fd};
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e);
    }
}

int main(int argc, char **argv) {
    if (argc != 2) { fprintf(stderr, "usage: upstream PORT\n"); return 2; }
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) { perror("upstream: bind"); return 1; }
    poller = epoll_create1(0);
    struct epoll_event e = {.events = EPOLLIN, .data.fd = listener}, events[256];
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &e);
    for (;;) {
        struct timespec wait = {0, 0}, *until = NULL;
        if (heap_len) {
            uint64_t now = now_ns(), gap = heap[0].due > now ? heap[0].due - now : 0;
            wait.tv_sec = (time_t)(gap / 1000000000u);
            wait.tv_nsec = (long)(gap % 1000000000u);
            until = &wait;
        }
        int n = epoll_pwait2(poller, events, 256, until, NULL);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) { on_accept(fd); continue; }
            if (events[i].events & EPOLLOUT) on_writable(fd);
            if (conns[fd].open && (events[i].events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))) on_readable(fd);
        }
        uint64_t now = now_ns();
        for (int turns = 0; heap_len && heap[0].due <= now && turns < 1024; turns++) {
            Timer t = timer_pop();
            if (conns[t.fd].open && conns[t.fd].generation == t.generation) fire(t.fd);
        }
    }
}
