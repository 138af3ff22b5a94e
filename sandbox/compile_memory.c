/* The runtime's memory: mappings, and where in the pages file their contents are. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "compile_part.h"
#include "criu_image.h"

/* criu/include/image.h: VMA_* */
enum status {
    STATUS_VSYSCALL = 1 << 2,
    STATUS_VDSO = 1 << 3,
    STATUS_FILE_PRIVATE = 1 << 6,
    STATUS_FILE_SHARED = 1 << 7,
    STATUS_ANON_PRIVATE = 1 << 9,
    STATUS_VVAR = 1 << 12,
};

#define STATUS_SPECIAL (1U << 8 | 1U << 10 | 1U << 11 | 1U << 13 | 1U << 14 | 1U << 15 | 1U << 16 | 1U << 17)

/* Of CriuPages.flags. A third bit says only that the pages could be brought later. */
#define PAGES_IN_PARENT 1U
#define PAGES_IN_FILE 4U

static int describe_file(struct compile *c, const CriuVma *v, struct thaw_area *area, struct err *e)
{
    const CriuRegular *file = compile_find_regular(c, (uint32_t)v->shmid, e);

    if (!file)
        return -e->code;
    if (strncmp(file->name, "/tmp/", 5) == 0 || strncmp(file->name, "/dev/", 5) == 0)
        return err_set(e, ENOTSUP, "it has %s mapped", file->name);
    area->kind = THAW_MAPPED_FILE;
    area->offset = v->pgoff;
    return compile_string(c, file->name, &area->path, e);
}

static int add_area(struct compile *c, const CriuVma *v, struct err *e)
{
    struct thaw_area area = {
        .start = v->start, .end = v->end, .prot = v->prot, .flags = v->flags, .advice = v->has_madv ? v->madv : 0};

    if (v->status & STATUS_VSYSCALL)
        return 0;
    if (v->start < THAW_END && THAW_BASE < v->end)
        return err_set(e, ENOTSUP, "it has memory where a template has its own");
    if (v->status & STATUS_SPECIAL || v->flags & (MAP_LOCKED | MAP_HUGETLB) ||
        (v->status & STATUS_FILE_SHARED && v->prot & PROT_WRITE))
        return err_set(e, ENOTSUP, "it has memory of a special kind (%#x, %#x)", v->status, v->flags);
    if (v->status & STATUS_VDSO)
        area.kind = THAW_VDSO;
    else if (v->status & STATUS_VVAR)
        area.kind = THAW_VVAR;
    else if (v->status & (STATUS_FILE_PRIVATE | STATUS_FILE_SHARED)) {
        if (describe_file(c, v, &area, e) < 0)
            return -e->code;
    } else if (!(v->status & STATUS_ANON_PRIVATE))
        return err_set(e, ENOTSUP, "it has memory of a special kind (%#x)", v->status);
    return compile_add(c, THAW_AREAS, &area, sizeof(area), e);
}

#define PAGE 4096UL

static bool is_kernels(const struct compile *c, uint64_t address)
{
    const struct thaw_area *a = (const struct thaw_area *)(const void *)c->part[THAW_AREAS].data;

    for (uint32_t i = 0; i < c->head.part[THAW_AREAS].count; i++)
        if (a[i].start <= address && address < a[i].end)
            return a[i].kind == THAW_VDSO || a[i].kind == THAW_VVAR;
    return false;
}

/* criu cuts long runs into pieces of a megabyte. */
static bool extend_run(struct compile *c, const struct thaw_pages *run)
{
    struct buf *part = &c->part[THAW_PAGES];
    struct thaw_pages *last = part->used ? (struct thaw_pages *)(void *)(part->data + part->used) - 1 : NULL;

    if (!last || !last->start || last->start + last->count * PAGE != run->start)
        return false;
    last->count += run->count;
    return true;
}

/* criu dumps the vDSO too, to see whether it is still the same. A run may begin or end in it. */
static int add_run(struct compile *c, uint64_t start, uint64_t count, struct err *e)
{
    while (count) {
        bool kernels = is_kernels(c, start);
        struct thaw_pages run = {.start = kernels ? 0 : start};

        for (; count && is_kernels(c, start) == kernels; count--, start += PAGE)
            run.count++;
        if (extend_run(c, &run))
            continue;
        if (compile_add(c, THAW_PAGES, &run, sizeof(run), e) < 0)
            return -e->code;
    }
    return 0;
}

static int add_pages(struct compile *c, struct err *e)
{
    auto_image struct criu_image image;
    const uint8_t *data;
    size_t size;

    if (criu_image_open(c->dir, "pagemap-2.img", &image, e) < 0)
        return -e->code;
    if (!criu_image_next(&image, &data, &size, e)) /* the number of the pages file */
        return err_set(e, EUCLEAN, "pagemap-2.img is empty");
    while (criu_image_next(&image, &data, &size, e)) {
        CriuPages *p = criu_pages__unpack(NULL, size, data);
        uint64_t start, count;
        bool present;

        if (!p)
            return err_set(e, EUCLEAN, "pagemap-2.img can't be read");
        start = p->vaddr;
        count = p->has_nr_pages ? p->nr_pages : p->compat_nr_pages;
        present = (p->flags & (PAGES_IN_FILE | PAGES_IN_PARENT)) == PAGES_IN_FILE && !p->in_parent;
        criu_pages__free_unpacked(p, NULL);
        if (!present)
            return err_set(e, ENOTSUP, "it has pages that are not in its image");
        if (add_run(c, start, count, e) < 0)
            return -e->code;
    }
    return -e->code;
}

static int set_mm(struct compile *c, const CriuMm *mm, struct err *e)
{
    const CriuRegular *exe = compile_find_regular(c, mm->exe_file_id, e);

    c->head.thp_disabled = mm->thp_disabled;
    c->head.mm = (struct prctl_mm_map){.start_code = mm->mm_start_code,
                                       .end_code = mm->mm_end_code,
                                       .start_data = mm->mm_start_data,
                                       .end_data = mm->mm_end_data,
                                       .start_brk = mm->mm_start_brk,
                                       .brk = mm->mm_brk,
                                       .start_stack = mm->mm_start_stack,
                                       .arg_start = mm->mm_arg_start,
                                       .arg_end = mm->mm_arg_end,
                                       .env_start = mm->mm_env_start,
                                       .env_end = mm->mm_env_end};
    for (size_t i = 0; i < mm->n_mm_saved_auxv; i++)
        if (compile_add(c, THAW_AUXV, &mm->mm_saved_auxv[i], sizeof(uint64_t), e) < 0)
            return -e->code;
    return exe ? compile_string(c, exe->name, &c->head.exe, e) : -e->code;
}

int compile_memory(struct compile *c, struct err *e)
{
    auto_image struct criu_image image;
    const uint8_t *data;
    CriuMm *mm;
    size_t size;
    int rc;

    if (criu_image_open(c->dir, "mm-2.img", &image, e) < 0)
        return -e->code;
    if (!criu_image_next(&image, &data, &size, e) || !(mm = criu_mm__unpack(NULL, size, data)))
        return err_set(e, EUCLEAN, "mm-2.img can't be read");
    if (mm->n_aios || (mm->has_dumpable && mm->dumpable != 1))
        rc = err_set(e, ENOTSUP, "it has asynchronous input and output under way, or is not dumpable");
    else
        rc = set_mm(c, mm, e);
    for (size_t i = 0; rc >= 0 && i < mm->n_vmas; i++)
        rc = add_area(c, mm->vmas[i], e);
    criu_mm__free_unpacked(mm, NULL);
    return rc < 0 ? rc : add_pages(c, e);
}
