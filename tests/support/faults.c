/* Preloaded into a test's process: counts the calls that change files, and at one of them kills the
   process, or lets that call (and those after it) fail. Sockets to anything but this machine are
   refused and noted, where FAULTS_CALLS names a file to note them in. See crashes.py, privacy. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NOTHING, KILL_BEFORE, KILL_AFTER, KILL_TORN, FAIL_ONCE, FAIL_ON };
enum { WRITE, SYNC, RENAME, UNLINK, TRUNCATE, CREATE, KINDS };

static long counts[KINDS], total, at, faults;
static int action, error, trace = -1;

void faults_arm(long call, int what, int number) {
    memset(counts, 0, sizeof counts);
    total = faults = 0, at = call, action = what, error = number;
}
/* From now on, write a line for each call into a pipe: its kind and its file. */
void faults_trace(int pipe) { trace = pipe; }
long faults_count(int kind) { return kind < 0 ? total : counts[kind]; }
long faults_done(void) { return faults; }

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}
static void note(int kind, int file, const char *path) {
    char link[32], name[4096];
    if (!path) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", file);
        ssize_t length = readlink(link, name, sizeof name - 1);
        name[length < 0 ? 0 : length] = 0, path = name;
    }
    dprintf(trace, "%d %s\n", kind, path);
}
/* Count a call; tell whether it is the one (or, of FAIL_ON, one after it). */
static int hit(int kind, int file, const char *path) {
    long number = __atomic_add_fetch(&total, 1, __ATOMIC_SEQ_CST);
    counts[kind]++;
    if (trace >= 0) note(kind, file, path);
    if (!at || (action == FAIL_ON ? number < at : number != at)) return 0;
    faults++;
    if (action == KILL_BEFORE) die();
    return 1;
}
static int fails(void) {
    if (action != FAIL_ONCE && action != FAIL_ON) return 0;
    errno = error;
    return 1;
}
static int on_disk(int file) {
    struct stat found;
    return fstat(file, &found) == 0 && (S_ISREG(found.st_mode) || S_ISDIR(found.st_mode));
}

#define REAL(name) ({ static typeof(name) *real; if (!real) real = dlsym(RTLD_NEXT, #name); real; })
#define CALL(kind, file, path, applies, failed, torn, call)                                                   \
    do {                                                                                           \
        int it = (applies) && hit(kind, file, path);                                               \
        if (it && fails()) return failed;                                                          \
        if (it && action == KILL_TORN) { torn; die(); }                                            \
        typeof(call) answer = call;                                                                \
        if (it) die();                                                                             \
        return answer;                                                                             \
    } while (0)

ssize_t write(int f, const void *p, size_t n) {
    CALL(WRITE, f, NULL, on_disk(f), -1, REAL(write)(f, p, n / 2), REAL(write)(f, p, n));
}
ssize_t pwrite(int f, const void *p, size_t n, off_t o) {
    CALL(WRITE, f, NULL, on_disk(f), -1, REAL(pwrite)(f, p, n / 2, o), REAL(pwrite)(f, p, n, o));
}
ssize_t pwrite64(int f, const void *p, size_t n, off64_t o) {
    CALL(WRITE, f, NULL, on_disk(f), -1, REAL(pwrite64)(f, p, n / 2, o), REAL(pwrite64)(f, p, n, o));
}
size_t fwrite(const void *p, size_t s, size_t n, FILE *f) {
    CALL(WRITE, fileno(f), NULL, on_disk(fileno(f)), 0, REAL(fwrite)(p, s, n / 2, f), REAL(fwrite)(p, s, n, f));
}
int fsync(int f) { CALL(SYNC, f, NULL, on_disk(f), -1, , REAL(fsync)(f)); }
int fdatasync(int f) { CALL(SYNC, f, NULL, on_disk(f), -1, , REAL(fdatasync)(f)); }
int rename(const char *a, const char *b) { CALL(RENAME, -1, b, 1, -1, , REAL(rename)(a, b)); }
int unlink(const char *path) { CALL(UNLINK, -1, path, 1, -1, , REAL(unlink)(path)); }
int ftruncate(int f, off_t n) { CALL(TRUNCATE, f, NULL, on_disk(f), -1, , REAL(ftruncate)(f, n)); }
int ftruncate64(int f, off64_t n) { CALL(TRUNCATE, f, NULL, on_disk(f), -1, , REAL(ftruncate64)(f, n)); }
int link(const char *a, const char *b) { CALL(CREATE, -1, b, 1, -1, , REAL(link)(a, b)); }
int mkdir(const char *path, mode_t mode) { CALL(CREATE, -1, path, 1, -1, , REAL(mkdir)(path, mode)); }

#define MODE int mode = 0; if (flags & O_CREAT) { va_list rest; va_start(rest, flags);            \
    mode = va_arg(rest, int); va_end(rest); }
#define CREATES (flags & O_CREAT)
int open(const char *path, int flags, ...) {
    MODE CALL(CREATE, -1, path, CREATES, -1, , REAL(open)(path, flags, mode));
}
int open64(const char *path, int flags, ...) {
    MODE CALL(CREATE, -1, path, CREATES, -1, , REAL(open64)(path, flags, mode));
}

/* What leaves the machine */

static int abroad(const struct sockaddr *to, const char *call) {
    const char *file = getenv("FAULTS_CALLS");
    char text[64] = "";
    if (!file || !to) return 0;
    if (to->sa_family == AF_INET) {
        const struct in_addr *address = &((const struct sockaddr_in *)to)->sin_addr;
        if ((ntohl(address->s_addr) >> 24) == 127 || !address->s_addr) return 0;
        inet_ntop(AF_INET, address, text, sizeof text);
    } else if (to->sa_family == AF_INET6) {
        const struct in6_addr *address = &((const struct sockaddr_in6 *)to)->sin6_addr;
        if (IN6_IS_ADDR_LOOPBACK(address) || IN6_IS_ADDR_UNSPECIFIED(address)) return 0;
        inet_ntop(AF_INET6, address, text, sizeof text);
    } else {
        return 0;
    }
    FILE *noted = fopen(file, "a");
    if (noted) fprintf(noted, "%s %s\n", call, text), fclose(noted);
    errno = ENETUNREACH;
    return 1;
}
int connect(int s, const struct sockaddr *to, socklen_t n) {
    return abroad(to, "connect") ? -1 : REAL(connect)(s, to, n);
}
ssize_t sendto(int s, const void *p, size_t n, int flags, const struct sockaddr *to, socklen_t m) {
    return abroad(to, "sendto") ? -1 : REAL(sendto)(s, p, n, flags, to, m);
}
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **found) {
    const char *file = getenv("FAULTS_CALLS");
    char own[256] = "";
    gethostname(own, sizeof own - 1);
    struct in6_addr parsed;
    int plain = !name || !*name || !strcmp(name, "localhost") || !strcmp(name, own) ||
                inet_pton(AF_INET, name, &parsed) == 1 || inet_pton(AF_INET6, name, &parsed) == 1;
    if (file && !plain) {
        FILE *noted = fopen(file, "a");
        if (noted) fprintf(noted, "getaddrinfo %s\n", name), fclose(noted);
        return EAI_FAIL;
    }
    return REAL(getaddrinfo)(name, service, hints, found);
}
