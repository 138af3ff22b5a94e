/*
 * fnrund as a child process: starting it, watching it, starting it again, stopping it. It is crash-only: when it ends for
 * whatever reason, its sandboxes are killed and a new one begins from what is on disk.
 */
#ifndef FNRUN_MANAGER_H
#define FNRUN_MANAGER_H

#include <stdbool.h>

#include "link.h"
#include "state.h"

#define MANAGER_DEATHS_MAX 100

struct manager {
    /* set by the owner */
    struct loop *loop;
    struct state_ids ids;
    char *const *argv; /* argv[0] is the program's path */
    const char *cwd;
    int listener;        /* the API's listening socket */
    unsigned max_deaths; /* within MANAGER_DEATHS_WINDOW; 0: no limit */
    /* One message came; a negative result ends the manager, for the reason in *e. */
    int (*on_message)(void *ctx, const void *data, size_t size, const struct msg_fds *fds, struct err *e);
    void (*on_gone)(void *ctx);                  /* it is dead: its sandboxes must go */
    void (*on_finished)(void *ctx, bool failed); /* there will be no other: it was stopped, or died too often */
    void *ctx;

    struct link link;
    struct loop_io pid;      /* its pidfd */
    struct loop_timer timer; /* the next start, or the end of patience in stopping */
    bool stopping;
    nsec_t deaths[MANAGER_DEATHS_MAX]; /* when; a ring */
    unsigned death_count;
};

#define MANAGER_DEATHS_WINDOW (10 * NSEC_PER_SEC)
#define MANAGER_STOP_PATIENCE (5 * NSEC_PER_SEC)

/* Starts the first one. A program that can't be started shows as its early death. */
int manager_start(struct manager *m, struct err *e);

/* Asks it to end, and kills it when it takes too long; on_finished then. */
void manager_stop(struct manager *m);

#endif
