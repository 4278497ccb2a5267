// When which connection asks: the four modes. Included by load.c, whose state it uses.
#pragma once

static void ask(Conn *c, uint64_t due);
static void drop(Conn *c);

static int busy(const Conn *c) { return c->state == CONNECTING || c->state == SENDING || c->state == WAITING; }
static int any_busy(void) {
    for (int i = 0; i < options.connections; i++) if (busy(&conns[i])) return 1;
    return 0;
}

// ---- paired

static struct { double *differences; size_t n, cap; uint64_t first; int failures; int first_good; Hist hists[2]; } paired;

static void paired_answer(Conn *c, int good) {
    int which = (int)(c - conns);
    uint64_t took = now - c->started;
    if (good) hist_add(&paired.hists[which], took);
    if (which == 0) {
        paired.first = took;
        paired.first_good = good;
    } else if (good && paired.first_good) {
        if (paired.n == paired.cap) paired.differences = realloc(paired.differences, sizeof(double) * (paired.cap = paired.cap ? paired.cap * 2 : 4096));
        paired.differences[paired.n++] = ((double)took - (double)paired.first) / 1e3;
    }
    if (!good && ++paired.failures > 100) stopping = 2;
    else if (which == 1 && now >= stop_at) stopping = 2;
    else ask(&conns[1 - which], 0);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void paired_print(void) {
    qsort(paired.differences, paired.n, sizeof(double), by_value);
    double p50 = paired.n ? paired.differences[paired.n / 2] : 0;
    printf(",\"difference_p50\":%.2f,", p50);
    hist_print("first", &paired.hists[0], options.buckets);
    printf(",");
    hist_print("second", &paired.hists[1], options.buckets);
}

// ---- open

typedef struct { Hist ok; long asked, good, refused, failed, not_sent; } PhaseResult;
typedef struct { long ok, refused; double p50, p99; } Second;
static struct {
    int phase, *idle, idle_count, series_len, in_flight;
    uint64_t phase_ends, next, second_ends, *queue;
    size_t queue_head, queue_len, queue_cap;
    long second_refused;
    PhaseResult *results;
    Second series[7200];
} arrivals;

static double uniform(void) { return ((double)(random_bits() >> 11) + 0.5) / 9007199254740992.0; }

// -ln(u) without libm: the load is a single small binary.
static double exponential(void) { return -__builtin_log(uniform()); }

static void open_next(void) { arrivals.next += (uint64_t)(exponential() / options.phases[arrivals.phase].rate * 1e9); }

static void open_start(void) {
    arrivals.idle = calloc((size_t)options.connections, sizeof(int));
    arrivals.results = calloc((size_t)options.phase_count, sizeof(PhaseResult));
    for (int i = options.connections - 1; i >= 0; i--) arrivals.idle[arrivals.idle_count++] = i;
    arrivals.next = began;
    arrivals.second_ends = began + 1000000000u;
    arrivals.phase_ends = began + (uint64_t)(options.phases[0].seconds * 1e9);
    open_next();
}

static void open_queue(uint64_t due) {
    if (arrivals.queue_len == arrivals.queue_cap) {
        size_t cap = arrivals.queue_cap ? arrivals.queue_cap * 2 : 1024;
        uint64_t *larger = malloc(cap * sizeof *larger);
        for (size_t i = 0; i < arrivals.queue_len; i++) larger[i] = arrivals.queue[(arrivals.queue_head + i) % arrivals.queue_cap];
        free(arrivals.queue);
        arrivals.queue = larger;
        arrivals.queue_head = 0;
        arrivals.queue_cap = cap;
    }
    arrivals.queue[(arrivals.queue_head + arrivals.queue_len++) % arrivals.queue_cap] = due;
}

static void open_dispatch(void) {
    while (arrivals.queue_len && arrivals.idle_count) {
        uint64_t due = arrivals.queue[arrivals.queue_head];
        arrivals.queue_head = (arrivals.queue_head + 1) % arrivals.queue_cap;
        arrivals.queue_len--;
        ask(&conns[arrivals.idle[--arrivals.idle_count]], due);
    }
}

static void open_answer(Conn *c, int good) {
    arrivals.idle[arrivals.idle_count++] = (int)(c - conns);
    // An answer belongs to the phase in which the request was due.
    uint64_t start = began;
    int phase = 0;
    while (phase + 1 < options.phase_count && c->due >= start + (uint64_t)(options.phases[phase].seconds * 1e9))
        start += (uint64_t)(options.phases[phase++].seconds * 1e9);
    PhaseResult *r = &arrivals.results[phase];
    if (good) {
        r->good++;
        hist_add(&r->ok, now - c->due);
        hist_add(&second_ok, now - c->due);
    } else {
        if (c->response.status) r->refused++;
        else r->failed++;
        arrivals.second_refused++;
    }
}

static void open_second(void) {
    if (arrivals.series_len < (int)(sizeof arrivals.series / sizeof *arrivals.series))
        arrivals.series[arrivals.series_len++] = (Second){(long)second_ok.count, arrivals.second_refused,
            hist_quantile(&second_ok, .5), hist_quantile(&second_ok, .99)};
    memset(&second_ok, 0, sizeof second_ok);
    arrivals.second_refused = 0;
    arrivals.second_ends += 1000000000u;
}

static uint64_t open_tick(void) {
    now = clock_ns();
    while (now >= arrivals.second_ends) open_second();
    while (!stopping && arrivals.next <= now) {
        if (arrivals.next >= arrivals.phase_ends) {
            if (arrivals.phase + 1 == options.phase_count) { stopping = 1; stop_at = now; break; }
            arrivals.next = arrivals.phase_ends;
            arrivals.phase_ends += (uint64_t)(options.phases[++arrivals.phase].seconds * 1e9);
            open_next();
            continue;
        }
        arrivals.results[arrivals.phase].asked++;
        open_queue(arrivals.next);
        open_next();
    }
    open_dispatch();
    if (stopping == 1) {
        // What waits is given ten seconds; what is left then was never sent.
        if ((!arrivals.queue_len && !any_busy()) || now > stop_at + 10000000000u) {
            arrivals.results[arrivals.phase].not_sent = (long)arrivals.queue_len;
            stopping = 2;
        }
        return now + 10000000u;
    }
    return arrivals.next < arrivals.second_ends ? arrivals.next : arrivals.second_ends;
}

static void open_print(void) {
    printf(",\"phases\":[");
    for (int i = 0; i < options.phase_count; i++) {
        PhaseResult *r = &arrivals.results[i];
        printf("%s{\"rate\":%.1f,\"seconds\":%.1f,\"asked\":%ld,\"ok\":%ld,\"refused\":%ld,\"failed\":%ld,\"not_sent\":%ld,", i ? "," : "",
               options.phases[i].rate, options.phases[i].seconds, r->asked, r->good, r->refused, r->failed, r->not_sent);
        hist_print("latency", &r->ok, options.buckets);
        printf("}");
    }
    printf("],\"series\":[");
    for (int i = 0; i < arrivals.series_len; i++)
        printf("%s[%ld,%ld,%.0f,%.0f]", i ? "," : "", arrivals.series[i].ok, arrivals.series[i].refused, arrivals.series[i].p50, arrivals.series[i].p99);
    printf("]");
}

// ---- closed and streams

static int started_count, ready_said, resting;

static void repeat_start(void) {
    for (int i = 0; i < options.connections; i++)
        conns[i].starts_at = began + (uint64_t)(options.ramp * 1e9 * i / options.connections);
}

static uint64_t repeat_tick(void) {
    now = clock_ns();
    if (!stopping && !options.hold && now >= stop_at) stopping = 1;
    while (!stopping && started_count < options.connections && conns[started_count].starts_at <= now) ask(&conns[started_count++], 0);
    static uint64_t next_check;
    if (options.mode == MODE_STREAMS && now >= next_check) {
        next_check = now + 50000000u;
        if (options.hold && !ready_said && started_count == options.connections) {
            int ready = 0;
            for (int i = 0; i < options.connections; i++) ready += conns[i].events > 0 || !busy(&conns[i]);
            if (ready == options.connections) { ready_said = 1; printf("READY %d\n", (int)first_chunk.count); }
        }
        for (int i = 0; i < options.connections; i++) {
            if (!busy(&conns[i]) || (double)now - (double)conns[i].last_byte < options.stall * 1e9) continue;
            count.stalled++;
            drop(&conns[i]);
            on_answer(&conns[i], 0);
        }
    }
    // Streams that run when time is up are heard to their end; what hangs for a minute is given up.
    if (stopping == 1 && (!any_busy() || now > stop_at + 60000000000u)) stopping = 2;
    uint64_t next = now + 20000000u;
    if (started_count < options.connections && conns[started_count].starts_at < next) next = conns[started_count].starts_at;
    return next;
}

static void repeat_answer(Conn *c, int good) {
    if (stopping || options.hold) return;
    if (now >= stop_at) { stopping = 1; return; }
    // To ask again at once after a failure or a refusal would be a hail: a twentieth of a second later.
    if (good) { ask(c, 0); return; }
    c->starts_at = now + 50000000u;
    c->rests = 1;
    resting++;
}

static void repeat_again(void) {
    if (stopping || options.hold || !resting) return;
    for (int i = 0; i < started_count; i++) {
        if (!conns[i].rests || conns[i].starts_at > now) continue;
        conns[i].rests = 0;
        resting--;
        ask(&conns[i], 0);
    }
}

// ---- dispatch

static void on_answer(Conn *c, int good) {
    now = clock_ns();
    switch (options.mode) {
    case MODE_PAIRED: paired_answer(c, good); break;
    case MODE_OPEN: open_answer(c, good); break;
    default: repeat_answer(c, good);
    }
}

static void mode_start(void) {
    for (int i = 0; i < options.connections; i++) conns[i].port = options.ports[options.mode == MODE_PAIRED ? i : 0];
    if (options.mode == MODE_PAIRED) ask(&conns[0], 0);
    else if (options.mode == MODE_OPEN) open_start();
    else repeat_start();
}

static uint64_t mode_tick(void) {
    if (options.mode == MODE_PAIRED) return now + 100000000u;
    if (options.mode == MODE_OPEN) return open_tick();
    repeat_again();
    return repeat_tick();
}

static void mode_print(void) {
    if (options.mode == MODE_PAIRED) paired_print();
    if (options.mode == MODE_OPEN) open_print();
}
