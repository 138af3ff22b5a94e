/*
 * As a runtime of the warden's tests, what to do is in the arguments (see commands[]). As the `bootstrap` of a function it
 * answers each invocation with the report.
 */
#include "probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHANNEL 15

static char **arguments;

static void die(const char *what) __attribute__((noreturn));
static void die(const char *what)
{
    perror(what);
    exit(99);
}

void out_addf(struct buf *out, const char *fmt, ...)
{
    char text[1024];
    struct err e;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (n < 0 || buf_add(out, text, MIN((size_t)n, sizeof(text) - 1), &e) < 0)
        die("report");
}

void json_add_string(struct buf *out, const char *text, size_t size)
{
    out_addf(out, "\"");
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c < 0x20 || c == '"' || c == '\\' || c > 0x7e)
            out_addf(out, "\\u%04x", c);
        else
            out_addf(out, "%c", c);
    }
    out_addf(out, "\"");
}

static void make_report(struct buf *out)
{
    buf_clear(out);
    out_addf(out, "{\"view\":");
    view_add(out);
    out_addf(out, ",\"attempts\":");
    attempts_add(out);
    out_addf(out, "}\n");
}

static void write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);

        if (n <= 0)
            die("write");
        data += n;
        size -= (size_t)n;
    }
}

static int command_report(UNUSED const char *argument)
{
    struct buf out = {0};

    make_report(&out);
    write_all(STDOUT_FILENO, out.data, out.used);
    buf_free(&out);
    return 0;
}

static int command_sleep(UNUSED const char *argument)
{
    while (pause() < 0)
        ;
    return 0;
}

static int command_exit(const char *status)
{
    return atoi(status);
}

static int command_signal(const char *signo)
{
    raise(atoi(signo));
    return 98;
}

/* Uses that many MB of memory, a page at a time. */
static int command_eat(const char *megabytes)
{
    size_t size = (size_t)atol(megabytes) << 20;
    char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        die("mmap");
    memset(p, 1, size);
    printf("ate %s\n", megabytes);
    return 0;
}

static double seconds(clockid_t clock)
{
    struct timespec ts;

    clock_gettime(clock, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Is busy for that many ms and prints which part of a CPU it got. */
static int command_spin(const char *ms)
{
    double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID), now;

    while ((now = seconds(CLOCK_MONOTONIC)) < wall + atof(ms) / 1000)
        ;
    printf("%.3f\n", (seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) / (now - wall));
    return 0;
}

/* Writes up to that many MB to /tmp and prints how many bytes fit. */
static int command_fill(const char *megabytes)
{
    static char block[65536];
    int fd = open("/tmp/fill", O_WRONLY | O_CREAT, 0600);
    long long total = 0, wanted = atoll(megabytes) << 20;
    ssize_t n = 0;

    while (fd >= 0 && total < wanted && (n = write(fd, block, sizeof(block))) > 0)
        total += n;
    printf("%lld %s\n", total, n < 0 ? strerrorname_np(errno) : "OK");
    return 0;
}

/* Forks up to that many children and prints how many came to be. */
static int command_fork(const char *number)
{
    long most = atol(number), count;

    for (count = 0; count < most; count++) {
        pid_t pid = fork();

        if (pid == 0)
            pause();
        if (pid < 0)
            break;
    }
    printf("%ld %s\n", count, count < most ? strerrorname_np(errno) : "OK");
    return 0;
}

static int command_fork_and_stay(const char *number)
{
    command_fork(number);
    return command_sleep(NULL);
}

/* Opens /dev/null up to that many times and prints how often it worked. */
static int command_open(const char *number)
{
    long most = atol(number), count = 0;

    while (count < most && open("/dev/null", O_RDONLY) >= 0)
        count++;
    printf("%ld %s\n", count, count < most ? strerrorname_np(errno) : "OK");
    return 0;
}

/* Forks even if there are too many processes for the moment; patient for 10 s. */
static pid_t fork_patiently(void)
{
    double until = seconds(CLOCK_MONOTONIC) + 10;
    pid_t pid;

    while ((pid = fork()) < 0 && errno == EAGAIN && seconds(CLOCK_MONOTONIC) < until)
        usleep(1000);
    return pid;
}

/* Leaves that many ended grandchildren to PID 1, which has to reap them, and prints how many. */
static int command_orphans(const char *number)
{
    long most = atol(number), count;

    for (count = 0; count < most; count++) {
        pid_t pid = fork_patiently();

        if (pid == 0)
            _exit(fork_patiently() < 0);
        if (pid < 0 || waitpid(pid, NULL, 0) != pid)
            break;
    }
    printf("%ld\n", count);
    return 0;
}

/* Writes a dot every 5 ms, for ever. */
static int command_tick(UNUSED const char *argument)
{
    while (usleep(5000) == 0)
        write_all(STDOUT_FILENO, ".", 1);
    return 0;
}

/* Tells whether a path of the host can be opened or connected to: two errno names. */
static int command_reach(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = open(path, O_RDONLY), error = errno, sock = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
    printf("%s ", fd >= 0 ? "OK" : strerrorname_np(error));
    printf("%s\n", connect(sock, (struct sockaddr *)&to, sizeof(to)) == 0 ? "OK" : strerrorname_np(errno));
    return 0;
}

/* Leaves a mark in every place that sandboxes could share (attempts.def looks for them), reports, and stays. */
static int command_mark(const char *argument)
{
    attempts_leave_marks();
    command_report(argument);
    return command_sleep(argument);
}

/* Its arguments and its environment, each string with its NUL. */
static int command_echo(UNUSED const char *argument)
{
    for (char **a = arguments + 2; *a; a++)
        write_all(STDOUT_FILENO, *a, strlen(*a) + 1);
    for (char **e = environ; *e; e++)
        write_all(STDOUT_FILENO, *e, strlen(*e) + 1);
    return 0;
}

/* Signals everybody that it can see. */
static int command_massacre(UNUSED const char *argument)
{
    printf("%s\n", kill(-1, SIGKILL) == 0 ? "OK" : strerrorname_np(errno));
    return 0;
}

/* Sends back what comes through the channel. */
static int command_channel(UNUSED const char *argument)
{
    char data[256];
    ssize_t n;

    while ((n = read(CHANNEL, data, sizeof(data))) > 0)
        write_all(CHANNEL, data, (size_t)n);
    return n < 0 ? 97 : 0;
}

static int command_daemonize(UNUSED const char *argument)
{
    if (fork() == 0) {
        setsid();
        signal(SIGTERM, SIG_IGN);
        signal(SIGHUP, SIG_IGN);
        command_sleep(NULL);
    }
    return 5;
}

static int connect_to(const char *host, int port)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = inet_addr(host)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
        die("connect to the Runtime API");
    return fd;
}

/* Says hello to the Runtime API's socket and prints the answer. */
static int command_api(const char *port)
{
    char data[64];
    int fd = connect_to("127.0.0.1", atoi(port));
    ssize_t n;

    write_all(fd, "hello", 5);
    n = read(fd, data, sizeof(data));
    write_all(STDOUT_FILENO, data, (size_t)MAX(n, 0));
    return n > 0 ? 0 : 96;
}

/* One HTTP exchange on a connection of its own; the head of the answer is left in `head`. */
static void exchange(const char *api, const struct buf *request, char *head, size_t size)
{
    char host[64];
    const char *colon = strchr(api, ':');
    size_t used = 0;
    ssize_t n;
    int fd;

    snprintf(host, sizeof(host), "%.*s", colon ? (int)(colon - api) : (int)strlen(api), api);
    fd = connect_to(host, colon ? atoi(colon + 1) : 80);
    write_all(fd, request->data, request->used);
    while (used < size - 1 && (n = read(fd, head + used, size - 1 - used)) > 0)
        used += (size_t)n;
    head[used] = '\0';
    close(fd);
}

static void get_next(const char *api, char *id, size_t size)
{
    static const char name[] = "lambda-runtime-aws-request-id:";
    char head[16384], *line;
    struct buf request = {0};

    out_addf(&request, "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
             api);
    exchange(api, &request, head, sizeof(head));
    buf_free(&request);
    line = strcasestr(head, name);
    if (!line)
        die("no request id");
    line += strlen(name);
    line += strspn(line, " ");
    snprintf(id, size, "%.*s", (int)strcspn(line, "\r\n"), line);
}

static void serve_invocations(const char *api) __attribute__((noreturn));
static void serve_invocations(const char *api)
{
    char id[128], head[1024];
    struct buf report = {0}, request = {0};
    struct err e;

    for (;;) {
        get_next(api, id, sizeof(id));
        make_report(&report);
        buf_clear(&request);
        out_addf(&request,
                 "POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n"
                 "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                 id, api, report.used);
        if (buf_add(&request, report.data, report.used, &e) < 0)
            die("report");
        exchange(api, &request, head, sizeof(head));
    }
}

static const struct {
    const char *name;
    int (*run)(const char *argument);
} commands[] = {
    {"report", command_report},
    {"sleep", command_sleep},
    {"exit", command_exit},
    {"signal", command_signal},
    {"eat", command_eat},
    {"spin", command_spin},
    {"fill", command_fill},
    {"fork", command_fork},
    {"open", command_open},
    {"orphans", command_orphans},
    {"tick", command_tick},
    {"reach", command_reach},
    {"mark", command_mark},
    {"massacre", command_massacre},
    {"api", command_api},
    {"channel", command_channel},
    {"daemonize", command_daemonize},
    {"echo", command_echo},
    {"fork-and-stay", command_fork_and_stay},
};

int main(int argc, char **argv)
{
    const char *api = getenv("AWS_LAMBDA_RUNTIME_API");

    arguments = argv;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc < 2 && api)
        serve_invocations(api);
    for (size_t i = 0; argc > 1 && i < ARRAY_LEN(commands); i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc > 2 ? argv[2] : "0");
    return command_report(NULL);
}
