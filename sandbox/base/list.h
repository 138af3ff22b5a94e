/* A doubly linked list whose links live in the members. A head is a struct list_node that points at itself. */
#ifndef FNRUN_LIST_H
#define FNRUN_LIST_H

#include <stdbool.h>

#include "macros.h"

struct list_node {
    struct list_node *prev, *next;
};

static inline void list_init(struct list_node *n)
{
    n->prev = n->next = n;
}

static inline bool list_empty(const struct list_node *head)
{
    return head->next == head;
}

/* Puts `n` at the end of the list. */
static inline void list_append(struct list_node *head, struct list_node *n)
{
    n->prev = head->prev;
    n->next = head;
    head->prev->next = n;
    head->prev = n;
}

/* Puts `n` at the beginning. */
static inline void list_prepend(struct list_node *head, struct list_node *n)
{
    list_append(head->next, n);
}

/* Takes `n` out of whatever list it is in; harmless where it is in none (after list_init). */
static inline void list_remove(struct list_node *n)
{
    n->prev->next = n->next;
    n->next->prev = n->prev;
    list_init(n);
}

#define list_first(head, type, member) (list_empty(head) ? (type *)NULL : container_of((head)->next, type, member))

/* The body may remove or free `it`. */
#define list_for_each(head, it, type, member)                                \
    for (struct list_node *it##_n = (head)->next, *it##_next = it##_n->next; \
         it##_n != (head) && ((it = container_of(it##_n, type, member)), 1); \
         it##_n = it##_next, it##_next = it##_n->next)

#endif
