// A histogram of nanoseconds, 128 buckets to a doubling: values are told within 0.8 %.
#pragma once
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUB_BITS = 7, SUBS = 1 << SUB_BITS, OCTAVES = 44, BUCKETS = OCTAVES * SUBS };

typedef struct {
    uint64_t count, max;
    double sum;
    uint32_t buckets[BUCKETS];
} Hist;

static inline int hist_index(uint64_t ns) {
    if (ns < SUBS) return (int)ns;
    int top = 63 - __builtin_clzll(ns);
    int index = (top - SUB_BITS + 1) * SUBS + (int)((ns >> (top - SUB_BITS)) & (SUBS - 1));
    return index < BUCKETS ? index : BUCKETS - 1;
}

static inline double hist_value(int index) {
    if (index < SUBS) return index;
    int octave = index / SUBS - 1, sub = index % SUBS;
    return ((double)(SUBS + sub) + 0.5) * (double)(1ull << octave);
}

static inline void hist_add(Hist *h, uint64_t ns) {
    h->buckets[hist_index(ns)]++;
    h->count++;
    h->sum += (double)ns;
    if (ns > h->max) h->max = ns;
}

static inline double hist_quantile(const Hist *h, double q) { // microseconds
    if (!h->count) return 0;
    uint64_t rank = (uint64_t)(q * (double)(h->count - 1)) + 1, seen = 0;
    for (int i = 0; i < BUCKETS; i++)
        if ((seen += h->buckets[i]) >= rank) return hist_value(i) / 1e3;
    return (double)h->max / 1e3;
}

// As a JSON object in microseconds; with `full` all buckets, ten to a doubling being enough for a plot.
static inline void hist_print(const char *name, const Hist *h, int full) {
    printf("\"%s\":{\"n\":%llu,\"mean\":%.2f,\"p50\":%.2f,\"p90\":%.2f,\"p99\":%.2f,\"p999\":%.2f,\"max\":%.2f", name,
           (unsigned long long)h->count, h->count ? h->sum / (double)h->count / 1e3 : 0, hist_quantile(h, .5), hist_quantile(h, .9),
           hist_quantile(h, .99), hist_quantile(h, .999), (double)h->max / 1e3);
    if (full) {
        printf(",\"buckets\":[");
        const int step = SUBS / 8;
        for (int i = 0, some = 0; i < BUCKETS; i += step) {
            uint64_t n = 0;
            for (int j = i; j < i + step; j++) n += h->buckets[j];
            if (n) printf("%s[%.2f,%llu]", some++ ? "," : "", hist_value(i + step / 2) / 1e3, (unsigned long long)n);
        }
        printf("]");
    }
    printf("}");
}
