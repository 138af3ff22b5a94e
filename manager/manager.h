/* What the parts of fnrund share: one of each, made by main.c at start. server_ctx of the API's requests is this. */
#ifndef FNRUN_MANAGER_H
#define FNRUN_MANAGER_H

#include "../sandbox/base/list.h"
#include "../sandbox/base/loop.h"
#include "db.h"
#include "http.h"

struct functions;
struct packages;
struct store;
struct invoker;
struct event_queue;
struct snapshots;
struct warden;

struct manager_config {
    const char *data_dir;      /* --data: everything the manager keeps; its working directory */
    const char *images_dir;    /* --images */
    const char *runtimes_dir;  /* --runtimes */
    const char *listen_name;   /* --listen-name: what clients call us, "127.0.0.1:4566" */
    const char *region;        /* --region, default us-east-1 */
    const char *account;       /* --account, default 000000000000 */
    unsigned idle_seconds;     /* --idle-seconds: an instance without work ends after so long; default 300 */
    const char *snapshots;     /* --snapshots: "on", or anything else */
    unsigned snapshot_disk_mb; /* --snapshot-disk-mb */
    unsigned max_armed;        /* --max-armed */
    unsigned max_instances;    /* --max-instances, default 1000 (AWS's concurrency quota) */
    unsigned
        retry_seconds; /* --retry-seconds: a failed event waits so long, then twice as long; default 60 as in AWS */
};

struct manager {
    struct manager_config config;
    struct loop *loop;
    struct db db;
    struct functions *functions;
    struct packages *packages;
    struct store *store;
    struct snapshots *snapshots;
    struct invoker *invoker;
    struct event_queue *events;
    struct warden *warden;
    struct http_server *api;         /* the API's port */
    struct http_server *runtime_api; /* 127.0.0.1:9001 of all sandboxes */
    struct http_server *endpoint;    /* 127.0.0.1:9002 of all sandboxes */
    struct list_node instances;      /* struct instance.all */
};

/* The services behind the API's port; route.c chooses one by the request's signature scope or path. */
extern const struct http_handlers lambda_service;  /* lambda_api.c */
extern const struct http_handlers store_service;   /* store_api.c */
extern const struct http_handlers private_service; /* private_api.c: /_fnrun/... */

/* The handlers of the API's http_server: they hand each request to its service. */
extern const struct http_handlers route_handlers;

#endif
