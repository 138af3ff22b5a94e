/*
 * A whole custom runtime in one static program: asks the Runtime API for events and answers each with
 * {"echo": EVENT, "calls": N, "deadline_ms": "...", "arn": "..."}. An event {"fail": ...} is answered as an error.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char answer[65536];

static int connect_api(void)
{
    char host[64];
    struct sockaddr_in a = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    unsigned short port;

    if (sscanf(getenv("AWS_LAMBDA_RUNTIME_API"), "%63[^:]:%hu", host, &port) != 2)
        exit(10);
    a.sin_port = htons(port);
    inet_pton(AF_INET, host, &a.sin_addr);
    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
        exit(11);
    return fd;
}

/* Sends a request on a connection of its own and reads the whole answer. Returns its body. */
static char *call(const char *request)
{
    size_t used = 0;
    ssize_t n;
    int fd = connect_api();
    char *body;

    if (write(fd, request, strlen(request)) < 0)
        exit(12);
    while ((n = read(fd, answer + used, sizeof(answer) - 1 - used)) > 0)
        used += (size_t)n;
    answer[used] = '\0';
    close(fd);
    body = strstr(answer, "\r\n\r\n");
    if (!body)
        exit(13);
    *body = '\0';
    return body + 4;
}

static void header(const char *name, char ret[256])
{
    char *at = strcasestr(answer, name);

    if (!at || sscanf(at + strlen(name), ": %255[^\r]", ret) != 1)
        exit(14);
}

static void post(const char *id, const char *verb, const char *body)
{
    static char request[131072];

    snprintf(request, sizeof(request),
             "POST /2018-06-01/runtime/invocation/%s/%s HTTP/1.1\r\nHost: runtime\r\nConnection: close\r\n"
             "Lambda-Runtime-Function-Error-Type: My.Error\r\nContent-Length: %zu\r\n\r\n%s",
             id, verb, strlen(body), body);
    call(request);
    if (strncmp(answer, "HTTP/1.1 202", 12) != 0)
        exit(15);
}

int main(void)
{
    static char event[65536], body[70000];
    char id[256], deadline[256], arn[256];

    for (int calls = 1;; calls++) {
        strcpy(event,
               call("GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: runtime\r\nConnection: close\r\n\r\n"));
        header("Lambda-Runtime-Aws-Request-Id", id);
        header("Lambda-Runtime-Deadline-Ms", deadline);
        header("Lambda-Runtime-Invoked-Function-Arn", arn);
        printf("call %d\n", calls);
        fflush(stdout);
        if (strstr(event, "\"fail\"")) {
            post(id, "error", "{\"errorType\":\"My.Error\",\"errorMessage\":\"as asked\",\"stackTrace\":[]}");
            continue;
        }
        snprintf(body, sizeof(body), "{\"echo\":%s,\"calls\":%d,\"deadline_ms\":\"%s\",\"arn\":\"%s\"}", event, calls,
                 deadline, arn);
        post(id, "response", body);
    }
}
