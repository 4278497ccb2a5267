// What the command line says, and the head of a request.
#pragma once
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct { char *text; size_t length; } Line;
typedef struct { Line *lines; int count; } Lines;
typedef struct { double rate, seconds; } Span;
typedef enum { MODE_CLOSED, MODE_PAIRED, MODE_OPEN, MODE_STREAMS } Mode;

static struct {
    Mode mode;
    int ports[2], port_count, connections, buckets, hold, read_rate, phase_count;
    double seconds, ramp, stall;
    const char *path;
    Lines bodies, keys;
    Span phases[64];
} options = {.connections = 1, .seconds = 1, .stall = 10, .path = "/v1/chat/completions"};

static void fail(const char *what, const char *about) {
    fprintf(stderr, "load: %s: %s\n", what, about);
    exit(2);
}

static Lines read_lines(const char *path) {
    FILE *file = fopen(path, "r");
    if (!file) fail("cannot read", path);
    Lines all = {NULL, 0};
    char *line = NULL;
    size_t cap = 0;
    for (ssize_t n; (n = getline(&line, &cap, file)) > 0;) {
        while (n && (line[n - 1] == '\n' || line[n - 1] == '\r')) n--;
        if (!n) continue;
        if (!(all.count & (all.count - 1))) all.lines = realloc(all.lines, sizeof(Line) * (size_t)(all.count ? all.count * 2 : 1));
        all.lines[all.count++] = (Line){memcpy(malloc((size_t)n + 1), line, (size_t)n), (size_t)n};
    }
    free(line);
    fclose(file);
    if (!all.count) fail("no lines in", path);
    return all;
}

static void read_phases(char *text) {
    for (char *part = strtok(text, ","); part; part = strtok(NULL, ",")) {
        Span span;
        if (options.phase_count == 64 || sscanf(part, "%lf:%lf", &span.rate, &span.seconds) != 2 || span.rate <= 0)
            fail("a phase is RATE:SECONDS", part);
        options.phases[options.phase_count++] = span;
    }
}

static void options_parse(int argc, char **argv) {
    static const char *modes[] = {"closed", "paired", "open", "streams"};
    static const struct option known[] = {
        {"port", 1, 0, 'p'}, {"path", 1, 0, 'P'}, {"bodies", 1, 0, 'b'}, {"keys", 1, 0, 'k'}, {"connections", 1, 0, 'c'},
        {"seconds", 1, 0, 's'}, {"phases", 1, 0, 'f'}, {"ramp", 1, 0, 'r'}, {"read-rate", 1, 0, 'R'}, {"stall", 1, 0, 't'},
        {"hold", 0, 0, 'h'}, {"buckets", 0, 0, 'B'}, {0, 0, 0, 0}};
    int mode = -1;
    for (int i = 0; argc > 1 && i < 4; i++) if (!strcmp(argv[1], modes[i])) mode = i;
    if (mode < 0) fail("first word", "closed, paired, open or streams");
    options.mode = (Mode)mode;
    for (int c; (c = getopt_long(argc - 1, argv + 1, "", known, NULL)) != -1;) switch (c) {
        case 'p': if (options.port_count < 2) options.ports[options.port_count++] = atoi(optarg); break;
        case 'P': options.path = optarg; break;
        case 'b': options.bodies = read_lines(optarg); break;
        case 'k': options.keys = read_lines(optarg); break;
        case 'c': options.connections = atoi(optarg); break;
        case 's': options.seconds = atof(optarg); break;
        case 'f': read_phases(optarg); break;
        case 'r': options.ramp = atof(optarg); break;
        case 'R': options.read_rate = atoi(optarg); break;
        case 't': options.stall = atof(optarg); break;
        case 'h': options.hold = 1; break;
        case 'B': options.buckets = 1; break;
        default: exit(2);
    }
    if (!options.port_count) fail("missing", "--port");
    if (!options.bodies.count) fail("missing", "--bodies");
    if (options.mode == MODE_OPEN && !options.phase_count) fail("missing", "--phases");
    if (options.mode == MODE_PAIRED) {
        if (options.port_count != 2) fail("paired", "needs two --port");
        options.connections = 2;
    }
}

static size_t request_head(char *at, size_t room, size_t body, uint64_t random) {
    const char *key = options.keys.count ? options.keys.lines[random % (uint64_t)options.keys.count].text : "none";
    int length = options.keys.count ? (int)options.keys.lines[random % (uint64_t)options.keys.count].length : 4;
    int n = snprintf(at, room,
        "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %.*s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
        options.path, length, key, body);
    if (n < 0 || (size_t)n >= room) fail("too long", "path and key");
    return (size_t)n;
}
