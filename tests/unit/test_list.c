// links:
#include "../../sandbox/base/list.h"

#include "check.h"

struct item {
    int value;
    struct list_node node;
};

/* The values in order, as digits. */
static const char *values(struct list_node *head)
{
    static char text[32];
    char *p = text;
    struct item *it;

    list_for_each(head, it, struct item, node)
        *p++ = (char)('0' + it->value);
    *p = '\0';
    return text;
}

static struct item *new_item(struct list_node *head, int value)
{
    struct item *it = calloc(1, sizeof(*it));

    it->value = value;
    list_append(head, &it->node);
    return it;
}

TEST(order_is_that_of_insertion)
{
    struct item a = {.value = 1}, b = {.value = 2}, c = {.value = 3};
    struct list_node head;

    list_init(&head);
    CHECK_STR(values(&head), "");
    CHECK(list_first(&head, struct item, node) == NULL);
    list_append(&head, &a.node);
    list_append(&head, &b.node);
    list_prepend(&head, &c.node);
    CHECK_STR(values(&head), "312");
    CHECK(list_first(&head, struct item, node) == &c);
}

TEST(removal_is_harmless_in_no_list_and_twice)
{
    struct item a = {.value = 1}, b = {.value = 2};
    struct list_node head;

    list_init(&head);
    list_init(&a.node);
    list_remove(&a.node);
    list_append(&head, &a.node);
    list_append(&head, &b.node);
    list_remove(&a.node);
    list_remove(&a.node);
    CHECK_STR(values(&head), "2");
    list_remove(&b.node);
    CHECK(list_empty(&head));
}

TEST(body_may_free_what_it_visits)
{
    struct list_node head;
    struct item *it;
    int sum = 0;

    list_init(&head);
    for (int i = 1; i <= 5; i++)
        new_item(&head, i);
    list_for_each(&head, it, struct item, node) {
        sum = 10 * sum + it->value;
        list_remove(&it->node);
        free(it);
    }
    CHECK_INT(sum, 12345);
    CHECK(list_empty(&head));
}

TEST(body_may_move_what_it_visits_to_another_list)
{
    struct list_node head, other;
    struct item *it;

    list_init(&head);
    list_init(&other);
    for (int i = 1; i <= 4; i++)
        new_item(&head, i);
    list_for_each(&head, it, struct item, node)
        if (it->value % 2) {
            list_remove(&it->node);
            list_append(&other, &it->node);
        }
    CHECK_STR(values(&head), "24");
    CHECK_STR(values(&other), "13");
    list_for_each(&head, it, struct item, node)
        free(it);
    list_for_each(&other, it, struct item, node)
        free(it);
}
