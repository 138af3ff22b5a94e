/* A template's memory: fnrun-thaw gives up everything that is mapped but itself, and maps what the plan says. */
#ifndef FNRUN_THAW_MEMORY_H
#define FNRUN_THAW_MEMORY_H

#include "init_drop.h"
#include "thaw_plan.h"

/* The plan, once thaw_load has read it, and the start of one of its parts. */
extern union thaw_memory {
    struct thaw_plan plan;
    char bytes[THAW_PLAN_MAX];
} thaw_memory;

#define THAW_PART(type, name) \
    ((const struct type *)(const void *)(thaw_memory.bytes + thaw_memory.plan.part[name].offset))
#define THAW_COUNT(name) (thaw_memory.plan.part[name].count)

const char *thaw_string(uint32_t offset);

/* Reads the plan and becomes what it says. The stack must be one of fnrun-thaw's own. */
int thaw_load(struct init_failure *f);

#endif
