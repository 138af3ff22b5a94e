/* fnrun list */
#include <string.h>
#include <unistd.h>

#include "api.h"

/* Appends one page to `all`; *marker becomes where the next one begins, empty after the last. */
static int fetch_page(struct cli *c, struct buf *marker, cJSON *all, struct err *e)
{
    auto_buf struct buf suffix = {0};
    auto_json cJSON *page = NULL;
    cJSON *function;

    if (marker->used > 0 && api_add_path(&suffix, "?Marker=", marker->data, "", e) < 0)
        return -e->code;
    if (api_call(c, "GET", NULL, buf_str(&suffix), NULL, e) < 0 || api_parse(c, &page, e) < 0)
        return -e->code;
    while ((function = cJSON_DetachItemFromArray(cJSON_GetObjectItem(page, "Functions"), 0)))
        cJSON_AddItemToArray(all, function);
    buf_clear(marker);
    return buf_add_str(marker, json_text(page, "NextMarker", ""), e);
}

static void print_row(const char *const *cell, const int *width, bool aligned)
{
    for (int i = 0; cell[i]; i++) {
        const char *after = cell[i + 1] ? (aligned ? "  " : "\t") : "\n";

        printf("%-*s%s", aligned && cell[i + 1] ? width[i] : 0, cell[i], after);
    }
}

#define COLUMNS 6

static const char *const heading[COLUMNS + 1] = {"NAME", "RUNTIME", "HANDLER", "MEMORY", "TIMEOUT", "MODIFIED", NULL};

/* The cells of one function; `room` holds the two that are numbers. */
static void make_row(const cJSON *f, const char **cell, char room[2][16])
{
    snprintf(room[0], sizeof(room[0]), "%.0f MB", json_number(f, "MemorySize", 0));
    snprintf(room[1], sizeof(room[1]), "%.0f s", json_number(f, "Timeout", 0));
    cell[0] = json_text(f, "FunctionName", "-");
    cell[1] = json_text(f, "Runtime", "-");
    cell[2] = json_text(f, "Handler", "-");
    cell[3] = room[0];
    cell[4] = room[1];
    cell[5] = json_text(f, "LastModified", "-");
    cell[COLUMNS] = NULL;
}

static void print_table(const cJSON *functions)
{
    bool aligned = isatty(STDOUT_FILENO);
    const char *cell[COLUMNS + 1];
    int width[COLUMNS] = {0};
    char room[2][16];
    const cJSON *f;

    for (int i = 0; i < COLUMNS; i++)
        width[i] = (int)strlen(heading[i]);
    cJSON_ArrayForEach(f, functions)
    {
        make_row(f, cell, room);
        for (int i = 0; i < COLUMNS; i++)
            width[i] = MAX(width[i], (int)strlen(cell[i]));
    }
    if (aligned)
        print_row(heading, width, true);
    cJSON_ArrayForEach(f, functions)
    {
        make_row(f, cell, room);
        print_row(cell, width, aligned);
    }
}

int cmd_list(struct cli *c, struct err *e)
{
    auto_json cJSON *answer = cJSON_CreateObject();
    cJSON *functions = cJSON_AddArrayToObject(answer, "Functions");
    auto_buf struct buf marker = {0};

    do {
        if (fetch_page(c, &marker, functions, e) < 0)
            return -e->code;
    } while (marker.used > 0);
    if (c->json)
        return cli_print_json(answer, e);
    print_table(functions);
    return CLI_OK;
}
