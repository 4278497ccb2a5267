#pragma once
#include <curl/curl.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>

// curl_easy_setopt and friends are variadic, which Swift cannot call: one typed wrapper per kind of argument.

typedef size_t (*apir_data_callback)(char *data, size_t size, size_t count, void *context);
typedef int (*apir_request_callback)(void *context, char *address, char *own_address, int port, int own_port);
typedef int (*apir_socket_callback)(CURL *easy, curl_socket_t socket, int what, void *context, void *socket_context);
typedef int (*apir_timer_callback)(CURLM *multi, long timeout_ms, void *context);

static inline CURLcode apir_easy_set_long(CURL *easy, CURLoption option, long value) {
    return curl_easy_setopt(easy, option, value);
}
static inline CURLcode apir_easy_set_offset(CURL *easy, CURLoption option, curl_off_t value) {
    return curl_easy_setopt(easy, option, value);
}
static inline CURLcode apir_easy_set_text(CURL *easy, CURLoption option, const char *value) {
    return curl_easy_setopt(easy, option, value);
}
static inline CURLcode apir_easy_set_pointer(CURL *easy, CURLoption option, const void *value) {
    return curl_easy_setopt(easy, option, value);
}
static inline CURLcode apir_easy_set_list(CURL *easy, CURLoption option, struct curl_slist *value) {
    return curl_easy_setopt(easy, option, value);
}
static inline CURLcode apir_easy_set_data_callback(CURL *easy, CURLoption option, apir_data_callback callback) {
    return curl_easy_setopt(easy, option, callback);
}
// Called before each time that a request is sent, on whatever connection; libcurl has it since 7.80.
static inline CURLcode apir_easy_set_request_callback(CURL *easy, apir_request_callback callback) {
    return curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, callback);
}
static inline CURLcode apir_easy_get_long(CURL *easy, CURLINFO info, long *value) {
    return curl_easy_getinfo(easy, info, value);
}
static inline CURLcode apir_easy_get_pointer(CURL *easy, CURLINFO info, void **value) {
    return curl_easy_getinfo(easy, info, value);
}
static inline CURLMcode apir_multi_set_long(CURLM *multi, CURLMoption option, long value) {
    return curl_multi_setopt(multi, option, value);
}
static inline CURLMcode apir_multi_set_pointer(CURLM *multi, CURLMoption option, void *value) {
    return curl_multi_setopt(multi, option, value);
}
static inline CURLMcode apir_multi_set_socket_callback(CURLM *multi, apir_socket_callback callback) {
    return curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, callback);
}
static inline CURLMcode apir_multi_set_timer_callback(CURLM *multi, apir_timer_callback callback) {
    return curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, callback);
}
static inline CURLcode apir_message_result(CURLMsg *message) { return message->data.result; }

// What drives libcurl's sockets. Swift's Glibc module has neither epoll nor eventfd.

static inline int apir_eventfd(void) { return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC); }
static inline int apir_epoll_create(void) { return epoll_create1(EPOLL_CLOEXEC); }
// `known`: the descriptor is in the set already. Falls back to the other operation when libcurl has closed and reopened
// a descriptor between two calls.
static inline int apir_epoll_set(int poll, int descriptor, int known, int wants_read, int wants_write) {
    struct epoll_event event = {0};
    event.events = (wants_read ? EPOLLIN : 0u) | (wants_write ? EPOLLOUT : 0u);
    event.data.fd = descriptor;
    if (epoll_ctl(poll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, descriptor, &event) == 0) return 0;
    return epoll_ctl(poll, known ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, descriptor, &event);
}
static inline void apir_epoll_remove(int poll, int descriptor) {
    epoll_ctl(poll, EPOLL_CTL_DEL, descriptor, 0);
}
typedef struct { int descriptor; int action; } apir_ready;
// Waits and says per descriptor what libcurl's CURL_CSELECT_ bits are.
static inline int apir_epoll_wait(int poll, apir_ready *ready, int capacity, int milliseconds) {
    struct epoll_event events[256];
    int count = epoll_wait(poll, events, capacity < 256 ? capacity : 256, milliseconds);
    for (int i = 0; i < count; i++) {
        int action = 0;
        if (events[i].events & (EPOLLIN | EPOLLHUP)) action |= CURL_CSELECT_IN;
        if (events[i].events & EPOLLOUT) action |= CURL_CSELECT_OUT;
        if (events[i].events & EPOLLERR) action |= CURL_CSELECT_ERR;
        ready[i].descriptor = events[i].data.fd;
        ready[i].action = action;
    }
    return count;
}
// Feature macros such as _GNU_SOURCE must not be set here: they would change types that Swift's Glibc module defines too.
static inline void apir_name_thread(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }
