/* Checks request bodies against the model: wrong types are a SerializationException, violated constraints are collected
 * into one ValidationException in AWS's words. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "json.h"
#include "lambda.h"
#include "lambda_pattern.h"

enum kind { KIND_TEXT, KIND_INTEGER, KIND_BOOLEAN, KIND_STRUCT, KIND_LIST, KIND_MAP };

struct member {
    unsigned operations, required;
    const char *path;
    enum kind kind;
    long least, most;
    enum pattern pattern;
    const char *values;
};

static const struct member members[] = {
#define MEMBER(operations, required, path, kind, least, most, pattern, values) \
    {operations, required, path, KIND_##kind, least, most, PATTERN_##pattern, values},
#include "lambda_member.def"
#undef MEMBER
};

/* What is collected on the way through a body. Without memory the text ends early; the check still fails. */
struct checker {
    struct fault *fault;
    struct buf found; /* violations, "; " between them */
    unsigned count;
};

static void add(struct buf *b, const char *text)
{
    struct err e;

    buf_add_str(b, text, &e);
}

/* "VpcConfig.SubnetIds[]" -> "vpcConfig.subnetIds" */
static void print_path(const char *path, char *ret, size_t size)
{
    size_t used = 0;

    for (bool first = true; *path && *path != '[' && *path != '{' && used + 1 < size; path++) {
        ret[used++] = first ? (char)tolower((unsigned char)*path) : *path;
        first = *path == '.';
    }
    ret[used] = '\0';
}

/* Stands for a value that must not be shown. */
static const char secret[] = "secret";

static void violate(struct checker *k, const char *value, const char *path, const char *constraint)
{
    char shown[100];
    struct err e;

    print_path(path, shown, sizeof(shown));
    add(&k->found, k->count++ ? "; Value" : "Value");
    if (!value)
        add(&k->found, " null");
    else if (value != secret)
        buf_addf(&k->found, &e, " '%s'", value);
    buf_addf(&k->found, &e, " at '%s' failed to satisfy constraint: %s", shown, constraint);
}

static int report(struct checker *k)
{
    if (k->count == 0)
        return 0;
    return fault_set(k->fault, FAULT_VALIDATION, "%u validation error%s detected: %s", k->count,
                     k->count == 1 ? "" : "s", buf_str(&k->found));
}

int lambda_violation(struct lambda_call *c, const char *value, const char *member, const char *constraint)
{
    auto_buf struct buf found = {0};
    struct checker k = {.fault = &c->fault, .found = found};
    int rc;

    violate(&k, value, member, constraint);
    rc = report(&k);
    found = k.found;
    return rc;
}

/* --- constraints -------------------------------------------------------------------------------------------------- */

static long characters(const char *text)
{
    long n = 0;

    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

/* Is `text` one of "a, b, c"? */
static bool is_listed(const char *values, const char *text)
{
    size_t n = strcspn(text, ", ");

    /* A text with a comma in it could be several words of the list. */
    if (text[n])
        return false;
    for (const char *p = values; n && (p = strstr(p, text)); p += n)
        if ((p == values || p[-1] == ' ') && (p[n] == '\0' || p[n] == ','))
            return true;
    return false;
}

enum constraint { MOST, LEAST, PATTERN_, VALUES, CONSTRAINTS };

static bool has(const struct member *m, enum constraint which)
{
    switch (which) {
    case MOST:
        return m->most > 0;
    case LEAST:
        return m->most > 0; /* both stand together; least may be 0 */
    case PATTERN_:
        return m->pattern != PATTERN_NONE;
    case VALUES:
        return m->values != NULL;
    case CONSTRAINTS:
        break;
    }
    return false;
}

static void print_constraint(const struct member *m, enum constraint which, struct buf *out)
{
    const char *what = m->kind == KIND_INTEGER ? "value" : "length";
    struct err e;

    switch (which) {
    case MOST:
        buf_addf(out, &e, "Member must have %s less than or equal to %ld", what, m->most);
        break;
    case LEAST:
        buf_addf(out, &e, "Member must have %s greater than or equal to %ld", what, m->least);
        break;
    case PATTERN_:
        buf_addf(out, &e, "Member must satisfy regular expression pattern: %s", pattern_shown(m->pattern));
        break;
    case VALUES:
        buf_addf(out, &e, "Member must satisfy enum value set: [%s]", m->values);
        break;
    case CONSTRAINTS:
        break;
    }
}

static bool text_satisfies(const struct member *m, enum constraint which, const char *text)
{
    switch (which) {
    case MOST:
        return characters(text) <= m->most;
    case LEAST:
        return characters(text) >= m->least;
    case PATTERN_:
        return pattern_match(m->pattern, text, NULL, 0);
    case VALUES:
        return is_listed(m->values, text);
    case CONSTRAINTS:
        break;
    }
    return true;
}

static void check_text(struct checker *k, const struct member *m, const char *text)
{
    for (enum constraint which = MOST; which < CONSTRAINTS; which++) {
        auto_buf struct buf constraint = {0};

        if (!has(m, which) || text_satisfies(m, which, text))
            continue;
        print_constraint(m, which, &constraint);
        violate(k, text, m->path, buf_str(&constraint));
    }
}

static void check_number(struct checker *k, const struct member *m, double number, const char *value)
{
    auto_buf struct buf constraint = {0};
    enum constraint broken = m->most && number > (double)m->most ? MOST
                             : number < (double)m->least         ? LEAST
                                                                 : CONSTRAINTS;

    if (broken == CONSTRAINTS)
        return;
    print_constraint(m, broken, &constraint);
    violate(k, value, m->path, buf_str(&constraint));
}

/* "[a, b]" or "{a=1, b=2}", as Java prints them. */
static void print_collection(const cJSON *list, struct buf *out)
{
    bool object = cJSON_IsObject(list);
    const cJSON *child;

    add(out, object ? "{" : "[");
    cJSON_ArrayForEach(child, list)
    {
        add(out, child == list->child ? "" : ", ");
        if (object) {
            add(out, child->string);
            add(out, "=");
        }
        add(out, cJSON_IsString(child) ? child->valuestring : "null");
    }
    add(out, object ? "}" : "]");
}

/* "Member must satisfy constraint: [all constraints of the entries]" */
static void violate_entries(struct checker *k, const struct member *m, const cJSON *list)
{
    auto_buf struct buf value = {0}, text = {0};
    bool keys = cJSON_IsObject(list), first = true;

    add(&text, keys ? "Map keys must satisfy constraint: [" : "Member must satisfy constraint: [");
    for (enum constraint which = MOST; which < CONSTRAINTS; which++) {
        if (!has(m, which))
            continue;
        add(&text, first ? "" : ", ");
        print_constraint(m, which, &text);
        first = false;
    }
    add(&text, keys ? "]" : ", Member must not be null]");
    if (!keys)
        print_collection(list, &value);
    violate(k, keys ? secret : buf_str(&value), m->path,
            buf_str(&text)); /* the only map with keys to check: variables */
}

static bool entry_satisfies(const struct member *m, const char *text)
{
    for (enum constraint which = MOST; which < CONSTRAINTS; which++)
        if (has(m, which) && !text_satisfies(m, which, text))
            return false;
    return true;
}

static int wrong_type(struct checker *k, const char *wanted, const cJSON *got)
{
    const char *found = cJSON_IsNumber(got) ? "NUMBER_VALUE" : cJSON_IsTrue(got) ? "TRUE_VALUE" : "FALSE_VALUE";

    if (cJSON_IsObject(got))
        return fault_set(k->fault, FAULT_SERIALIZATION, "Start of structure or map found where not expected.");
    if (cJSON_IsArray(got))
        return fault_set(k->fault, FAULT_SERIALIZATION, "Start of list found where not expected");
    if (cJSON_IsString(got) || cJSON_IsNull(got))
        found = cJSON_IsNull(got) ? "NULL_VALUE" : "STRING_VALUE";
    return fault_set(k->fault, FAULT_SERIALIZATION, "%s can not be converted to %s", found, wanted);
}

/* A list's entries or a map's keys. Values of lists and maps are texts everywhere in this model. */
static int check_entries(struct checker *k, const struct member *m, const cJSON *list)
{
    bool good = true;
    const cJSON *child;

    cJSON_ArrayForEach(child, list)
    {
        if (cJSON_IsObject(list))
            good &= entry_satisfies(m, child->string);
        else if (cJSON_IsString(child))
            good &= entry_satisfies(m, child->valuestring);
        else
            return wrong_type(k, "a String", child);
    }
    if (!good)
        violate_entries(k, m, list);
    return 0;
}

static int check_map_values(struct checker *k, const cJSON *map)
{
    const cJSON *child;

    cJSON_ArrayForEach(child, map) if (!cJSON_IsString(child)) return wrong_type(k, "a String", child);
    return 0;
}

/* --- one member after the other ----------------------------------------------------------------------------------- */

static int check_list(struct checker *k, const struct member *m, const cJSON *value)
{
    auto_buf struct buf shown = {0};

    if (!cJSON_IsArray(value))
        return fault_set(k->fault, FAULT_SERIALIZATION, "Expected list or null");
    print_collection(value, &shown);
    check_number(k, m, cJSON_GetArraySize(value), buf_str(&shown));
    return 0;
}

static int check_integer(struct checker *k, const struct member *m, const cJSON *value)
{
    char shown[320];
    double number;

    if (!cJSON_IsNumber(value))
        return wrong_type(k, "an Integer", value);
    number = value->valuedouble;
    if (number > -1e15 && number < 1e15 && number != (double)(long)number)
        return wrong_type(k, "an Integer", value);
    snprintf(shown, sizeof(shown), "%.0f", number);
    check_number(k, m, number, shown);
    return 0;
}

static int check_value(struct checker *k, const struct member *m, const cJSON *value)
{
    switch (m->kind) {
    case KIND_TEXT:
        if (!cJSON_IsString(value))
            return wrong_type(k, "a String", value);
        check_text(k, m, value->valuestring);
        return 0;
    case KIND_INTEGER:
        return check_integer(k, m, value);
    case KIND_BOOLEAN:
        return cJSON_IsBool(value) ? 0 : wrong_type(k, "a Boolean", value);
    case KIND_STRUCT:
        return cJSON_IsObject(value) ? 0 : wrong_type(k, "a structure", value);
    case KIND_LIST:
        return check_list(k, m, value);
    case KIND_MAP:
        return cJSON_IsObject(value) ? check_map_values(k, value) : wrong_type(k, "a map", value);
    }
    return 0;
}

/* Finds what a path names. False where the structure around it is absent: then nothing is missing either. */
static bool find_member(const cJSON *input, const char *path, const cJSON **ret)
{
    char name[64];

    for (;;) {
        size_t n = strcspn(path, ".[{");

        snprintf(name, sizeof(name), "%.*s", (int)n, path);
        *ret = json_get(input, name);
        path += n;
        if (*path != '.')
            return *ret || *path == '\0';
        if (!cJSON_IsObject(*ret))
            return false;
        input = *ret;
        path++;
    }
}

static int check_member(struct checker *k, const struct member *m, unsigned operation, const cJSON *input)
{
    const cJSON *value;

    if (!(m->operations & operation) || !find_member(input, m->path, &value))
        return 0;
    if (strpbrk(m->path, "[{"))
        return check_entries(k, m, value);
    if (value)
        return check_value(k, m, value);
    if (m->required & operation)
        violate(k, NULL, m->path, "Member must not be null");
    return 0;
}

/* Is there a member of that path, or (with a "." behind it) anything below it? */
static bool is_known(const char *path, bool below, unsigned operation)
{
    size_t n = strlen(path);

    for (unsigned i = 0; i < ARRAY_LEN(members); i++)
        if (members[i].operations & operation && strncmp(members[i].path, path, n) == 0 &&
            members[i].path[n] == (below ? '.' : '\0'))
            return true;
    return false;
}

/* AWS ignores members that it does not know, and so they are gone before anything is stored. Structures that the table
 * does not look into stay whole: they are refused as a whole. */
static void drop_unknown(cJSON *object, const char *prefix, unsigned operation)
{
    for (cJSON *child = object->child, *next; child; child = next) {
        char path[100];

        next = child->next;
        snprintf(path, sizeof(path), "%s%.60s", prefix, child->string);
        if (!is_known(path, false, operation)) {
            cJSON_Delete(cJSON_DetachItemViaPointer(object, child));
        } else if (cJSON_IsObject(child) && is_known(path, true, operation)) {
            strcat(path, ".");
            drop_unknown(child, path, operation);
        }
    }
}

int lambda_check_input(struct lambda_call *c)
{
    struct checker k = {.fault = &c->fault};
    int rc = 0;

    if (!cJSON_IsObject(c->input))
        rc = wrong_type(&k, "a structure", c->input);
    for (unsigned i = 0; i < ARRAY_LEN(members) && rc == 0; i++)
        rc = check_member(&k, &members[i], c->route->input, c->input);
    if (rc == 0)
        rc = report(&k);
    if (rc == 0)
        drop_unknown(c->input, "", c->route->input);
    buf_free(&k.found);
    return rc;
}
