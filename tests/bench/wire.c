/* The two ends of the benchmark: an upstream and a load generator, both far faster than what stands between them.
 *
 *   wire upstream PORT WHOLE STREAM [EVERY_MS]   answers every request: with WHOLE's bytes, or, when the request says "stream" or
 *                                                its path says stream, with STREAM's events: one every EVERY_MS, or all at once
 *   wire load PORT REQUEST CONNECTIONS SECONDS MARK [RATE]   sends REQUEST's bytes again and again, or RATE times a second, spread
 *                                                over the connections; prints what came back as JSON
 *
 * WHOLE and STREAM are bodies (STREAM: events ending in a blank line); REQUEST is a whole HTTP/1.1 request. MARK is a text that each
 * piece of content carries: the load generator counts it, so that a proxy that loses or merges text is found out. DIGITS digits follow
 * it; a paced upstream writes there when it sends the piece (CLOCK_MONOTONIC, ns), and the load generator reads how old it is.
 * One thread, epoll, loopback only. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define MOST 4096
#define ROOM (1 << 18)
#define KEPT 65536          /* samples of each kind */
#define DIGITS 15
#define SLOTS 20            /* a paced upstream's streams are spread over its interval */
#define WRAP 1000000000000000u

struct connection {
    int fd, active, slot;
    size_t used, next;      /* bytes held; next event to send */
    size_t skipped, seen;   /* bytes of a large request not held; where the search for stamps goes on */
    long need;              /* bytes of the answer still to come; -1: unknown, -2: chunked */
    uint64_t asked, first;
    char *buffer;
};

static struct connection table[MOST];
static struct { char *bytes; size_t length; } whole, stream, request;
static struct { char *at, *stamp; size_t length; } events[KEPT];
static size_t count;

static void fail(const char *what) { perror(what); exit(1); }

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static char *slurp(const char *path, size_t *length) {
    FILE *file = fopen(path, "rb");
    if (!file) fail(path);
    fseek(file, 0, SEEK_END);
    *length = (size_t)ftell(file);
    rewind(file);
    char *bytes = malloc(*length + 1);
    if (fread(bytes, 1, *length, file) != *length) fail(path);
    bytes[*length] = 0;
    fclose(file);
    return bytes;
}

static void quick(int fd) {
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(fd, F_SETFL, O_NONBLOCK);
}

static void put(int fd, const char *bytes, size_t length) {
    while (length) {
        ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
        if (sent > 0) { bytes += sent; length -= (size_t)sent; }
        else if (errno != EAGAIN) return;
    }
}

/* ── upstream ── */

static char *framed(const char *at, size_t length, size_t *total) {
    char *bytes = malloc(length + 32);
    int head = sprintf(bytes, "%zx\r\n", length);
    memcpy(bytes + head, at, length);
    memcpy(bytes + head + length, "\r\n", 2);
    *total = (size_t)head + length + 2;
    return bytes;
}

static void cut_events(const char *mark) {
    char *at = stream.bytes, *end = at + stream.length;
    while (at < end) {
        char *stop = strstr(at, "\n\n"), *crlf = strstr(at, "\n\r\n");
        if (crlf && (!stop || crlf < stop)) stop = crlf + 1;
        size_t length = stop ? (size_t)(stop + 2 - at) : (size_t)(end - at);
        events[count].at = framed(at, length, &events[count].length);
        char *found = memmem(events[count].at, events[count].length, mark, strlen(mark));
        events[count].stamp = found ? found + strlen(mark) : NULL;
        count++;
        at += length;
    }
}

static void send_event(struct connection *c) {
    char digits[DIGITS + 1];
    if (events[c->next].stamp) {
        snprintf(digits, sizeof digits, "%0*llu", DIGITS, (unsigned long long)(now() % WRAP));
        memcpy(events[c->next].stamp, digits, DIGITS);
    }
    put(c->fd, events[c->next].at, events[c->next].length);
    if (++c->next == count) { put(c->fd, "0\r\n\r\n", 5); c->active = 0; }
}

static void answer(struct connection *c, int every) {
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    c->buffer[c->used] = 0;
    if (!strstr(c->buffer, "stream\":true") && !strstr(c->buffer, "stream\": true") && !strstr(c->buffer, ":streamG")) {
        put(c->fd, whole.bytes, whole.length);
    } else if (every) {
        put(c->fd, head, sizeof head - 1);
        static int streams;
        c->active = 1;
        c->slot = streams++ % SLOTS;
        c->next = 0;
    } else {
        static char *all;
        static size_t length;
        if (!all) {
            all = malloc(stream.length * 2 + count * 32 + 512);
            length = (size_t)sprintf(all, "%s", head);
            for (size_t i = 0; i < count; i++) { memcpy(all + length, events[i].at, events[i].length); length += events[i].length; }
            memcpy(all + length, "0\r\n\r\n", 5);
            length += 5;
        }
        put(c->fd, all, length);
    }
    c->used = c->skipped = 0;
}

static int complete(struct connection *c) {
    c->buffer[c->used] = 0;
    char *end = strstr(c->buffer, "\r\n\r\n");
    if (!end) return 0;
    char *length = strcasestr(c->buffer, "\r\ncontent-length:");
    size_t body = length && length < end ? strtoul(length + 17, NULL, 10) : 0;
    return c->used + c->skipped >= (size_t)(end + 4 - c->buffer) + body;
}

/* Reads what there is; of a large request only the first half of ROOM is held. */
static ssize_t hear(struct connection *c) {
    ssize_t got = recv(c->fd, c->buffer + c->used, ROOM - c->used - 1, 0);
    if (got > 0) c->used += (size_t)got;
    if (c->used > ROOM / 2) { c->skipped += c->used - ROOM / 2; c->used = ROOM / 2; }
    return got;
}

/* A timer in the poll, RATE times a second. */
static int timer_of(int poll, double rate) {
    long every = (long)(1e9 / rate);
    struct itimerspec pace = {{every / 1000000000, every % 1000000000}, {every / 1000000000, every % 1000000000}};
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = timer};
    timerfd_settime(timer, 0, &pace, NULL);
    epoll_ctl(poll, EPOLL_CTL_ADD, timer, &event);
    return timer;
}

static void serve(int port, int every) {
    int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1, poll = epoll_create1(0), timer = -1, slot = 0, highest = 0;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1024)) fail("listen");
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, ready[256];
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
    if (every) timer = timer_of(poll, 1000.0 * SLOTS / every);
    printf("ready\n");
    fflush(stdout);
    for (;;) {
        int n = epoll_wait(poll, ready, 256, -1);
        for (int i = 0; i < n; i++) {
            int fd = ready[i].data.fd;
            if (fd == listener) {
                int client = accept(listener, NULL, NULL);
                if (client < 0 || client >= MOST) { if (client >= 0) close(client); continue; }
                quick(client);
                if (client > highest) highest = client;
                struct connection *c = &table[client];
                char *buffer = c->buffer ? c->buffer : malloc(ROOM);
                *c = (struct connection){.fd = client, .buffer = buffer};
                event.data.fd = client;
                epoll_ctl(poll, EPOLL_CTL_ADD, client, &event);
            } else if (fd == timer) {
                uint64_t ticks;
                if (read(timer, &ticks, sizeof ticks) < 0) continue;
                for (; ticks; ticks--, slot = (slot + 1) % SLOTS)
                    for (int k = 0; k <= highest; k++)
                        if (table[k].active && table[k].slot == slot) send_event(&table[k]);
            } else {
                struct connection *c = &table[fd];
                ssize_t got = hear(c);
                if (got <= 0) { if (got == 0 || errno != EAGAIN) { close(fd); c->active = 0; } continue; }
                if (complete(c)) answer(c, every);
            }
        }
    }
}

/* ── load ── */

struct samples { uint64_t values[KEPT], n; };
static struct samples spans, firsts, lags;
static uint64_t requests, bad, marks, bytes, skipped;
static int streaming, together;         /* answers begun and not ended: now, at most */

/* Of more than KEPT samples a random choice stays (reservoir sampling). */
static void keep(struct samples *s, uint64_t value) {
    uint64_t at = s->n++;
    if (at >= KEPT) at = (uint64_t)random() % s->n;
    if (at < KEPT) s->values[at] = value;
}

static void ask(struct connection *c) {
    c->used = c->seen = 0;
    c->need = -1;
    c->asked = now();
    c->first = 0;
    put(c->fd, request.bytes, request.length);
}

/* Takes the chunk framing out, in place: a proxy may cut anywhere, also within a mark. */
static size_t unframe(char *from, char *end) {
    char *to = from, *start = from;
    while (from < end) {
        char *after;
        size_t size = strtoul(from, &after, 16);
        if (!size || !(after = memmem(after, (size_t)(end - after), "\r\n", 2))) break;
        memmove(to, after + 2, size);
        to += size;
        from = after + 2 + size + 2;
    }
    return (size_t)(to - start);
}

static void take(struct connection *c, const char *mark) {
    size_t length = strlen(mark), held = c->used;
    char *body = strstr(c->buffer, "\r\n\r\n") + 4, *end;
    if (c->need == -2) held = (size_t)(body - c->buffer) + unframe(body, c->buffer + c->used);
    end = c->buffer + held;
    for (char *at = body; (at = memmem(at, (size_t)(end - at), mark, length)); at += length) marks++;
    if (strncmp(c->buffer, "HTTP/1.1 200", 12)) bad++;
    keep(&spans, now() - c->asked);
    keep(&firsts, c->first - c->asked);
    requests++;
    streaming--;
    bytes += c->used;
}

/* Notes how old each stamped piece is that came with the last read. A stamp that a proxy's framing cuts is left out. */
static void age(struct connection *c, const char *mark) {
    size_t length = strlen(mark);
    uint64_t moment = now() % WRAP;
    for (;;) {
        char *found = memmem(c->buffer + c->seen, c->used - c->seen, mark, length);
        if (!found || (size_t)(c->buffer + c->used - found) < length + DIGITS) return;
        char *end, digits[DIGITS + 1] = {0};
        memcpy(digits, found + length, DIGITS);
        uint64_t stamp = strtoull(digits, &end, 10);
        if (end == digits + DIGITS && stamp > 1000000 && stamp <= moment) keep(&lags, moment - stamp);
        c->seen = (size_t)(found + length - c->buffer);
    }
}

static int whole_answer(struct connection *c) {
    if (c->need == -1) {
        c->buffer[c->used] = 0;
        char *end = strstr(c->buffer, "\r\n\r\n");
        if (!end) return 0;
        char *length = strcasestr(c->buffer, "\r\ncontent-length:");
        c->need = length && length < end ? (long)(end + 4 - c->buffer) + strtol(length + 17, NULL, 10) : -2;
    }
    if (c->need == -2) return c->used > 5 && !memcmp(c->buffer + c->used - 5, "0\r\n\r\n", 5);
    return (long)c->used >= c->need;
}

static int order(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Microseconds: the value below which this share of the samples lies. */
static double part(struct samples *s, double share) {
    uint64_t n = s->n < KEPT ? s->n : KEPT;
    qsort(s->values, n, sizeof *s->values, order);
    return n ? (double)s->values[(uint64_t)((double)(n - 1) * share)] / 1000.0 : 0;
}

static void print_result(int open, double elapsed) {
    printf("{\"requests\":%lu,\"bad\":%lu,\"unfinished\":%d,\"skipped\":%lu,\"marks\":%lu,\"bytes\":%lu,\"seconds\":%.3f,\"together\":%d,",
           (unsigned long)requests, (unsigned long)bad, open, (unsigned long)skipped, (unsigned long)marks, (unsigned long)bytes, elapsed, together);
    printf("\"p50_us\":%.1f,\"p99_us\":%.1f,\"first_p50_us\":%.1f,\"first_p99_us\":%.1f,\"stamps\":%lu,\"lag_p50_us\":%.1f,\"lag_p99_us\":%.1f}\n",
           part(&spans, .5), part(&spans, .99), part(&firsts, .5), part(&firsts, .99), (unsigned long)lags.n, part(&lags, .5), part(&lags, .99));
}

/* Connections that wait for their turn when there is a rate, first come first served. */
static int waiting[MOST];
static size_t first_waiting, last_waiting;

static void load(int port, int connections, double seconds, const char *mark, double rate) {
    int poll = epoll_create1(0), open = 0, timer = rate > 0 ? timer_of(poll, rate) : -1;
    struct epoll_event ready[256];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    uint64_t start = now(), stop = start + (uint64_t)(seconds * 1e9), limit = stop + 60000000000u;
    for (int i = 0; i < connections; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(fd, (struct sockaddr *)&address, sizeof address)) fail("connect");
        quick(fd);
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
        table[fd] = (struct connection){.fd = fd, .buffer = malloc(ROOM)};
        if (rate > 0) waiting[last_waiting++ % MOST] = fd;
        else ask(&table[fd]);
        open++;
    }
    while (open && now() < limit) {
        int n = epoll_wait(poll, ready, 256, 1000);
        for (int i = 0; i < n; i++) {
            if (ready[i].data.fd == timer) {
                uint64_t ticks = 0;
                if (read(timer, &ticks, sizeof ticks) < 0) continue;
                for (; ticks && now() < stop; ticks--) {
                    if (first_waiting < last_waiting) ask(&table[waiting[first_waiting++ % MOST]]);
                    else skipped++;
                }
                while (now() >= stop && first_waiting < last_waiting) { close(waiting[first_waiting++ % MOST]); open--; }
                continue;
            }
            struct connection *c = &table[ready[i].data.fd];
            ssize_t got = recv(c->fd, c->buffer + c->used, ROOM - c->used - 1, 0);
            if (got < 0 && errno == EAGAIN) continue;
            if (got <= 0) { bad++; close(c->fd); open--; continue; }
            if (!c->first) { c->first = now(); if (++streaming > together) together = streaming; }
            c->used += (size_t)got;
            age(c, mark);
            if (!whole_answer(c)) continue;
            take(c, mark);
            if (rate > 0) waiting[last_waiting++ % MOST] = c->fd;
            else if (now() < stop) ask(c);
            else { close(c->fd); open--; }
        }
    }
    print_result(open, (double)(now() - start) / 1e9);
}

int main(int argc, char **argv) {
    if (argc >= 5 && !strcmp(argv[1], "upstream")) {
        size_t length;
        char *body = slurp(argv[3], &length);
        whole.bytes = malloc(length + 256);
        whole.length = (size_t)sprintf(whole.bytes, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n", length);
        memcpy(whole.bytes + whole.length, body, length);
        whole.length += length;
        stream.bytes = slurp(argv[4], &stream.length);
        cut_events("tok-");
        serve(atoi(argv[2]), argc > 5 ? atoi(argv[5]) : 0);
    } else if (argc >= 7 && !strcmp(argv[1], "load")) {
        request.bytes = slurp(argv[3], &request.length);
        load(atoi(argv[2]), atoi(argv[4]), atof(argv[5]), argv[6], argc > 7 ? atof(argv[7]) : 0);
        return 0;
    }
    fprintf(stderr, "usage: wire upstream PORT WHOLE STREAM [EVERY_MS] | wire load PORT REQUEST CONNECTIONS SECONDS MARK [RATE]\n");
    return 2;
}
