// The load of the benchmarks: one thread, epoll, HTTP/1.1. Prints one JSON object; times are microseconds.
//
//   load closed  --connections N --seconds S     each connection asks again when it has its answer
//   load paired  --port A --port B --seconds S   one connection to each port, alternately; prints also the differences
//   load open    --phases RATE:S,RATE:S,…        requests at random (Poisson) times whether or not answers come; latency counts from the
//                                                time at which the request was due, so waiting is not left out
//   load streams --connections N --seconds S     each connection opens a stream, and another when it has ended
//
// Common: --port P, --path /v1/chat/completions, --bodies FILE (one a line), --keys FILE (one a line; each request takes a random one),
// --buckets (whole histograms). streams: --ramp S (the first ones spread over S seconds), --read-rate BYTES (per second and connection: a slow
// client), --stall S (a stream without a byte for so long counts as stalled), --hold (never end a stream early or ask again: print READY and
// wait until killed). open: --connections N is the most that are opened.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include "hist.h"
#include "http.h"
#include "options.h"

enum { READ_SIZE = 256 * 1024, TICK_MS = 50 };
typedef enum { CLOSED, CONNECTING, IDLE, SENDING, WAITING } State;

typedef struct {
    int fd, port, body, wants_out, rests;
    State state;
    uint64_t started, due, last_byte; // when the request was sent, when it should have been
    uint64_t starts_at;               // ramp
    char head[512];
    size_t head_len, sent;
    long events;
    Response response;
} Conn;

static Conn *conns;
static int poller;
static Hist latency, refused, first_chunk, delay, second_ok;
static struct { long asked, ok, not_ok, retry_after, connect_failed, broken, chunks, completed, cut, stalled; long long bytes; } count;
static struct { int code; long n; } statuses[16];
static uint64_t now, began, stop_at;
static int stopping;

static uint64_t clock_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t random_bits(void) {
    static uint64_t x = 88172645463325252u;
    x ^= x << 13;
    x ^= x >> 7;
    return x ^= x << 17;
}

static void on_answer(Conn *c, int good);
#include "modes.h"

// ---- connections

static void watch(Conn *c, int out) {
    if (c->wants_out == out) return;
    c->wants_out = out;
    struct epoll_event e = {.events = (options.read_rate ? 0 : EPOLLIN) | (out ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &e);
}

static void drop(Conn *c) {
    if (c->state != CLOSED) close(c->fd);
    c->state = CLOSED;
}

static void send_request(Conn *c) {
    Line body = options.bodies.lines[c->body];
    while (c->sent < c->head_len + body.length) {
        struct iovec parts[2];
        int n = 0;
        if (c->sent < c->head_len) parts[n++] = (struct iovec){c->head + c->sent, c->head_len - c->sent};
        size_t into = c->sent > c->head_len ? c->sent - c->head_len : 0;
        parts[n++] = (struct iovec){body.text + into, body.length - into};
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = (size_t)n};
        ssize_t done = sendmsg(c->fd, &message, MSG_NOSIGNAL);
        if (done < 0 && errno == EAGAIN) { watch(c, 1); return; }
        if (done < 0) { count.broken++; drop(c); on_answer(c, 0); return; }
        c->sent += (size_t)done;
    }
    c->state = WAITING;
    watch(c, 0);
}

static void open_connection(Conn *c) {
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->fd < 0) { perror("load: socket"); exit(1); }
    int one = 1, small = 8192;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (options.read_rate) setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)c->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int failed = connect(c->fd, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS;
    c->state = CONNECTING;
    if (failed) { count.connect_failed++; drop(c); on_answer(c, 0); return; }
    c->wants_out = 1;
    struct epoll_event e = {.events = EPOLLOUT, .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &e);
}

// Asks; opens the connection first where there is none.
static void ask(Conn *c, uint64_t due) {
    c->started = c->last_byte = clock_ns();
    c->due = due ? due : c->started;
    c->body = options.bodies.count > 1 ? (int)(random_bits() % (uint64_t)options.bodies.count) : 0;
    c->head_len = request_head(c->head, sizeof c->head, options.bodies.lines[c->body].length, random_bits());
    c->sent = 0;
    c->events = 0;
    response_reset(&c->response);
    count.asked++;
    if (c->state == CLOSED) { open_connection(c); return; }
    c->state = SENDING;
    send_request(c);
}

static void on_stamp(void *context, uint64_t stamp) {
    Conn *c = context;
    now = clock_ns();
    if (!c->events++) hist_add(&first_chunk, now - c->started);
    if (stamp < now) hist_add(&delay, now - stamp);
    count.chunks++;
}

static void count_status(int code) {
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        if (statuses[i].n && statuses[i].code != code) continue;
        statuses[i].code = code;
        statuses[i].n++;
        return;
    }
}

static void finish(Conn *c) {
    now = clock_ns();
    Response *r = &c->response;
    count_status(r->status);
    int good = r->status == 200;
    if (good && r->event_stream && !response_said_done(r)) { count.cut++; good = 0; }
    hist_add(r->status == 200 ? &latency : &refused, now - c->due);
    if (good && r->event_stream) count.completed++;
    count.ok += good;
    count.not_ok += !good;
    count.retry_after += r->retry_after;
    if (r->closes) drop(c);
    else c->state = IDLE;
    on_answer(c, good);
}

static void on_readable(Conn *c, size_t most) {
    static char buffer[READ_SIZE];
    ssize_t n = recv(c->fd, buffer, most < sizeof buffer ? most : sizeof buffer, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
        int busy = c->state == WAITING || c->state == SENDING;
        int ends = n == 0 && busy && c->response.phase == UNTIL_CLOSE && c->response.status;
        if (ends) { finish(c); return; }
        drop(c);
        // Between two requests a server may hang up; only what was asked can be lost.
        if (busy) { count.broken++; on_answer(c, 0); }
        return;
    }
    now = c->last_byte = clock_ns();
    count.bytes += n;
    if (c->state != WAITING && c->state != SENDING) { drop(c); return; }
    size_t used;
    Verdict verdict = response_feed(&c->response, buffer, (size_t)n, &used, on_stamp, c);
    if (verdict == BROKEN) { count.broken++; drop(c); on_answer(c, 0); return; }
    if (verdict == DONE) finish(c);
}

static void on_event(Conn *c, uint32_t events) {
    if (c->state == CLOSED) return;
    if (c->state == CONNECTING) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error) { count.connect_failed++; drop(c); on_answer(c, 0); return; }
        c->state = SENDING;
        c->wants_out = -1;
        watch(c, 0);
        send_request(c);
        return;
    }
    if ((events & EPOLLOUT) && c->state == SENDING) send_request(c);
    if (c->state != CLOSED && (events & (EPOLLIN | EPOLLHUP | EPOLLERR))) on_readable(c, READ_SIZE);
}

// ---- the run

static void slow_reads(void) {
    static uint64_t next;
    if (!options.read_rate || now < next) return;
    next = now + TICK_MS * 1000000u;
    for (int i = 0; i < options.connections; i++)
        if (conns[i].state == WAITING) on_readable(&conns[i], (size_t)options.read_rate * TICK_MS / 1000);
}

static void print_result(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    printf("{\"asked\":%ld,\"ok\":%ld,\"not_ok\":%ld,\"retry_after\":%ld,\"connect_failed\":%ld,\"broken\":%ld,\"chunks\":%ld,\"completed\":%ld,"
           "\"cut\":%ld,\"stalled\":%ld,\"bytes\":%lld,\"seconds\":%.3f,\"load_cpu_seconds\":%.4f,\"status\":{",
           count.asked, count.ok, count.not_ok, count.retry_after, count.connect_failed, count.broken, count.chunks, count.completed,
           count.cut, count.stalled, count.bytes, (double)(clock_ns() - began) / 1e9, cpu);
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses && statuses[i].n; i++)
        printf("%s\"%d\":%ld", i ? "," : "", statuses[i].code, statuses[i].n);
    printf("},");
    hist_print("latency", &latency, options.buckets);
    printf(",");
    hist_print("refused", &refused, 0);
    printf(",");
    hist_print("first_chunk", &first_chunk, options.buckets);
    printf(",");
    hist_print("delay", &delay, options.buckets);
    mode_print();
    printf("}\n");
}

static void finish_up(int signal_number) {
    (void)signal_number;
    stopping = 2;
}

int main(int argc, char **argv) {
    options_parse(argc, argv);
    signal(SIGTERM, finish_up);
    signal(SIGINT, finish_up);
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    poller = epoll_create1(0);
    conns = calloc((size_t)options.connections, sizeof *conns);
    began = now = clock_ns();
    stop_at = began + (uint64_t)(options.seconds * 1e9);
    mode_start();
    struct epoll_event events[512];
    while (stopping < 2) {
        uint64_t next = mode_tick();
        now = clock_ns();
        uint64_t gap = next > now ? next - now : 0;
        if (options.read_rate && gap > TICK_MS * 1000000u / 2) gap = TICK_MS * 1000000u / 2;
        struct timespec wait = {(time_t)(gap / 1000000000u), (long)(gap % 1000000000u)};
        int n = epoll_pwait2(poller, events, 512, &wait, NULL);
        for (int i = 0; i < n; i++) on_event(events[i].data.ptr, events[i].events);
        now = clock_ns();
        slow_reads();
    }
    print_result();
    return 0;
}
