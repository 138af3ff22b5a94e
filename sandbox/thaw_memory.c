/*
 * State: a fork of the warden that has exec'd fnrun-thaw: uid 0 with the capabilities of templates.c, in a mount namespace of its
 * own that looks like a sandbox's. No C library, no heap, nothing of the process is left but this program's own pages.
 */
#include "thaw_memory.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/macros.h"
#include "init_sys.h"
#include "thaw.h"

#define PAGE 4096UL
#define HUGE (2UL << 20)
#define PAGE_DOWN(a) ((uint64_t)(a) & ~(PAGE - 1))
#define PAGE_UP(a) PAGE_DOWN((uint64_t)(a) + PAGE - 1)
#define USER_END 0x7ffffffff000UL
#define PIECES_MAX 8

_Alignas(4096) union thaw_memory thaw_memory;

extern const Elf64_Ehdr __ehdr_start;

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif

/* A mapping that the kernel gave this process for the vDSO. */
struct piece {
    uint64_t start, end;
};

const char *thaw_string(uint32_t offset)
{
    return thaw_memory.bytes + thaw_memory.plan.part[THAW_STRINGS].offset + offset;
}

static long map(uint64_t start, uint64_t size, int prot, int flags, int fd, uint64_t offset)
{
    register long r9 __asm__("r9") = (long)offset;
    register long r8 __asm__("r8") = fd;
    register long r10 __asm__("r10") = flags;
    long rc;

    __asm__ volatile("syscall"
                     : "=a"(rc)
                     : "a"(SYS_mmap), "D"(start), "S"(size), "d"((long)prot), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return rc;
}

/* --- the plan ----------------------------------------------------------------------------------------------------------------- */

static bool fits(enum thaw_parts part, size_t size)
{
    const struct thaw_part *p = &thaw_memory.plan.part[part];

    return p->offset <= thaw_memory.plan.bytes && p->count <= (thaw_memory.plan.bytes - p->offset) / size;
}

static int read_plan(struct init_failure *f)
{
    long size = SYS(read, THAW_PLAN_FD, &thaw_memory, sizeof(thaw_memory));
    const struct thaw_plan *p = &thaw_memory.plan;

    if (size < 0)
        return init_fail(f, size, "read the plan");
    if ((size_t)size < sizeof(*p) || p->magic != THAW_MAGIC || p->bytes != size ||
        !fits(THAW_AREAS, sizeof(struct thaw_area)) || !fits(THAW_PAGES, sizeof(struct thaw_pages)) ||
        !fits(THAW_FILES, sizeof(struct thaw_file)) || !fits(THAW_FDS, sizeof(struct thaw_fd)) ||
        !fits(THAW_WATCHES, sizeof(struct thaw_watch)) || !fits(THAW_ACTIONS, sizeof(struct thaw_action)) ||
        !fits(THAW_LIMITS, sizeof(struct thaw_limit)) || !fits(THAW_THREADS, sizeof(struct thaw_thread)) ||
        !fits(THAW_AUXV, sizeof(uint64_t)) || !fits(THAW_STRINGS, 1) || THAW_COUNT(THAW_THREADS) == 0 ||
        THAW_COUNT(THAW_THREADS) > THAW_THREADS_MAX || THAW_COUNT(THAW_FILES) > THAW_FILES_MAX || p->uid == 0)
        return init_fail(f, -EUCLEAN, "the snapshot's plan is damaged");
    SYS(close, THAW_PLAN_FD);
    return 0;
}

/* --- leaving what exec has mapped ------------------------------------------------------------------------------------------------ */

/* This program's file may not stay mapped: it must not be this process's executable (PR_SET_MM_MAP). Each of its pages that is
 * the file's is replaced by a copy in the same place. The stack is not among them: it is all zeros in the file. */
static int leave_file(struct init_failure *f)
{
    const Elf64_Ehdr *header = &__ehdr_start;
    const Elf64_Phdr *p = (const void *)((const char *)header + header->e_phoff);

    for (int i = 0; i < header->e_phnum; i++, p++) {
        uint64_t start = PAGE_DOWN(p->p_vaddr), size = PAGE_UP(p->p_vaddr + p->p_filesz) - start;
        int prot = (p->p_flags & PF_R ? PROT_READ : 0) | (p->p_flags & PF_W ? PROT_WRITE : 0) |
                   (p->p_flags & PF_X ? PROT_EXEC : 0);
        long copy, rc;

        if (p->p_type != PT_LOAD || p->p_filesz == 0)
            continue;
        copy = map(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (copy < 0)
            return init_fail(f, copy, "copy fnrun-thaw");
        __builtin_memcpy((void *)copy, (const void *)start, size);
        if ((rc = SYS(mprotect, copy, size, prot)) < 0 ||
            (rc = SYS(mremap, copy, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, start)) < 0)
            return init_fail(f, rc, "move fnrun-thaw");
    }
    return 0;
}

static uint64_t read_hex(const char **text)
{
    uint64_t value = 0;

    for (;; (*text)++) {
        if ('0' <= **text && **text <= '9')
            value = value << 4 | (uint64_t)(**text - '0');
        else if ('a' <= **text && **text <= 'f')
            value = value << 4 | (uint64_t)(**text - 'a' + 10);
        else
            return value;
    }
}

/* "START-END ... [vdso]": the kernel's own pages are those with such a name. */
static bool is_vdso_line(const char *line)
{
    for (; *line && *line != '\n'; line++)
        if (line[0] == '[' && line[1] == 'v' && (line[2] == 'd' || line[2] == 'v'))
            return true;
    return false;
}

static int find_vdso(struct piece *pieces, unsigned *ret_count, struct init_failure *f)
{
    static char text[16384];
    long fd = SYS(open, "/proc/self/maps", O_RDONLY | O_CLOEXEC), used = 0, n = 0;
    const char *line = text;

    if (fd < 0)
        return init_fail(f, fd, "open /proc/self/maps");
    while ((size_t)used < sizeof(text) - 1 && (n = SYS(read, fd, text + used, sizeof(text) - 1 - (size_t)used)) > 0)
        used += n;
    SYS(close, fd);
    for (*ret_count = 0; *line; line += *line == '\n') {
        const char *at = line;
        struct piece piece = {.start = read_hex(&at)};

        at++;
        piece.end = read_hex(&at);
        if (is_vdso_line(line) && *ret_count < PIECES_MAX)
            pieces[(*ret_count)++] = piece;
        while (*line && *line != '\n')
            line++;
    }
    return *ret_count ? 0 : init_fail(f, -ENOSYS, "find the vDSO");
}

/* The kernel follows: it knows the vDSO's place by the mapping (arch/x86/entry/vdso/vma.c). */
static int move_vdso(const struct piece *pieces, unsigned count, struct init_failure *f)
{
    const struct thaw_area *a = THAW_PART(thaw_area, THAW_AREAS);
    uint64_t start = 0, end = 0, shift;

    for (uint32_t i = 0; i < THAW_COUNT(THAW_AREAS); i++) {
        if (a[i].kind != THAW_VDSO && a[i].kind != THAW_VVAR)
            continue;
        start = start ? start : a[i].start;
        end = a[i].end;
    }
    if (end - start != pieces[count - 1].end - pieces[0].start)
        return init_fail(f, -EUCLEAN, "the kernel's vDSO is another");
    shift = start - pieces[0].start;
    for (unsigned i = 0; shift && i < count; i++) {
        uint64_t size = pieces[i].end - pieces[i].start;
        long rc = SYS(mremap, pieces[i].start, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, pieces[i].start + shift);

        if (rc < 0)
            return init_fail(f, rc, "move the vDSO");
    }
    return 0;
}

static int leave_old_memory(struct init_failure *f)
{
    struct piece pieces[PIECES_MAX];
    unsigned count;
    long rc;

    if (leave_file(f) < 0 || find_vdso(pieces, &count, f) < 0)
        return -1;
    if ((rc = SYS(munmap, 0, THAW_BASE)) < 0 || (rc = SYS(munmap, THAW_END, pieces[0].start - THAW_END)) < 0 ||
        (rc = SYS(munmap, pieces[count - 1].end, USER_END - pieces[count - 1].end)) < 0)
        return init_fail(f, rc, "give up the old memory");
    return move_vdso(pieces, count, f);
}

/* --- the runtime's memory ---------------------------------------------------------------------------------------------------------- */

static bool has_pages(const struct thaw_area *a)
{
    const struct thaw_pages *p = THAW_PART(thaw_pages, THAW_PAGES);

    for (uint32_t i = 0; i < THAW_COUNT(THAW_PAGES); i++)
        if (p[i].start < a->end && a->start < p[i].start + p[i].count * PAGE)
            return true;
    return false;
}

static int map_area(const struct thaw_area *a, struct init_failure *f)
{
    int flags = (int)a->flags & (MAP_PRIVATE | MAP_SHARED | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_NORESERVE);
    /* Until its pages are there. What has none, as large reservations of addresses, must not be charged as memory. */
    int prot = (int)a->prot | (has_pages(a) ? PROT_WRITE : 0);
    long fd = -1, rc;

    if (a->kind == THAW_VDSO || a->kind == THAW_VVAR)
        return 0;
    if (a->kind == THAW_MAPPED_FILE) {
        fd = SYS(open, thaw_string(a->path), O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
            init_fail(f, fd, "open ");
            f->detail = thaw_string(a->path);
            return -1;
        }
    }
    rc = map(a->start, a->end - a->start, prot, flags | MAP_FIXED_NOREPLACE, (int)fd, a->offset);
    if (fd >= 0)
        SYS(close, fd);
    return rc < 0 ? init_fail(f, rc, "map the runtime's memory") : 0;
}

static int read_pages(struct init_failure *f)
{
    const struct thaw_pages *p = THAW_PART(thaw_pages, THAW_PAGES);

    for (uint32_t i = 0; i < THAW_COUNT(THAW_PAGES); i++) {
        uint64_t at = p[i].start, left = p[i].count * PAGE;

        if (!at && SYS(lseek, THAW_PAGES_FD, left, SEEK_CUR) < 0)
            return init_fail(f, -EUCLEAN, "pass over pages");
        while (at && left) {
            long n = SYS(read, THAW_PAGES_FD, at, left);

            if (n <= 0)
                return init_fail(f, n < 0 ? n : -EUCLEAN, "read the runtime's pages");
            at += (uint64_t)n;
            left -= (uint64_t)n;
        }
    }
    SYS(close, THAW_PAGES_FD);
    return 0;
}

/* What is large becomes huge pages where the kernel can: a fork then copies one entry of a page table for 512 pages. An instance that
 * writes to one gets a copy of the small page only. */
static void collapse_pages(void)
{
    const struct thaw_pages *p = THAW_PART(thaw_pages, THAW_PAGES);

    for (uint32_t i = 0; i < THAW_COUNT(THAW_PAGES); i++) {
        uint64_t start = (p[i].start + HUGE - 1) & ~(HUGE - 1), end = (p[i].start + p[i].count * PAGE) & ~(HUGE - 1);

        if (p[i].start && start < end)
            SYS(madvise, start, end - start, MADV_COLLAPSE);
    }
}

/* MADV_DONTFORK is not for here: the instances would lack the area. They set it themselves. MADV_WIPEONFORK is: instances are forks,
 * and whoever has asked for it wants to know (the C library's random state; forget.h). */
static int finish_area(const struct thaw_area *a, struct init_failure *f)
{
    uint64_t size = a->end - a->start;
    long rc = 0;

    if (a->kind == THAW_VDSO || a->kind == THAW_VVAR)
        return 0;
    if (!(a->prot & PROT_WRITE) && has_pages(a))
        rc = SYS(mprotect, a->start, size, a->prot);
    if (rc < 0)
        return init_fail(f, rc, "protect the runtime's memory");
    for (int bit = 0; bit < 64; bit++)
        if (a->advice >> bit & 1 && bit != MADV_DONTFORK && (rc = SYS(madvise, a->start, size, bit)) < 0)
            return init_fail(f, rc, "advise on the runtime's memory");
    return 0;
}

/* What /proc and brk(2) know of a process's memory. */
static int describe_process(struct init_failure *f)
{
    struct prctl_mm_map mm = thaw_memory.plan.mm;
    long exe = SYS(open, thaw_string(thaw_memory.plan.exe), O_RDONLY | O_CLOEXEC), rc;

    if (exe < 0)
        return init_fail(f, exe, "open the runtime's program");
    mm.exe_fd = (uint32_t)exe;
    mm.auxv = (void *)(thaw_memory.bytes + thaw_memory.plan.part[THAW_AUXV].offset);
    mm.auxv_size = THAW_COUNT(THAW_AUXV) * (uint32_t)sizeof(uint64_t);
    rc = SYS(prctl, PR_SET_MM, PR_SET_MM_MAP, &mm, sizeof(mm));
    SYS(close, exe);
    if (rc == 0 && thaw_memory.plan.thp_disabled)
        rc = SYS(prctl, PR_SET_THP_DISABLE, 1);
    return rc < 0 ? init_fail(f, rc, "describe the process") : 0;
}

/* The frames are part of the plan; what they point to moves with it. */
static void place_frames(void)
{
    struct thaw_thread *t = (struct thaw_thread *)THAW_PART(thaw_thread, THAW_THREADS);

    for (uint32_t i = 0; i < THAW_COUNT(THAW_THREADS); i++)
        t[i].frame.fpu = (uint64_t)thaw_string((uint32_t)t[i].frame.fpu);
}

int thaw_load(struct init_failure *f)
{
    const struct thaw_area *a = THAW_PART(thaw_area, THAW_AREAS);

    if (read_plan(f) < 0 || leave_old_memory(f) < 0)
        return -1;
    a = THAW_PART(thaw_area, THAW_AREAS);
    for (uint32_t i = 0; i < THAW_COUNT(THAW_AREAS); i++)
        if (map_area(&a[i], f) < 0)
            return -1;
    if (read_pages(f) < 0)
        return -1;
    for (uint32_t i = 0; i < THAW_COUNT(THAW_AREAS); i++)
        if (finish_area(&a[i], f) < 0)
            return -1;
    collapse_pages();
    place_frames();
    return describe_process(f);
}
