#pragma once
#include <string.h>
#include <zlib.h>

// The whole of `source` in gzip's format (RFC 1952). `level`: 1, the fastest, to 9, the smallest. Returns the number of bytes written, or -1
// where they do not fit into `capacity`. A function, because deflateInit2 is a macro, which Swift does not import.
static inline long apir_gzip(const unsigned char *source, unsigned int length, unsigned char *target, unsigned int capacity,
                             int level) {
    z_stream stream;
    memset(&stream, 0, sizeof stream);
    if (deflateInit2(&stream, level, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY) != Z_OK) return -1;
    stream.next_in = (Bytef *)source;
    stream.avail_in = length;
    stream.next_out = target;
    stream.avail_out = capacity;
    long written = deflate(&stream, Z_FINISH) == Z_STREAM_END ? (long)stream.total_out : -1;
    deflateEnd(&stream);
    return written;
}
