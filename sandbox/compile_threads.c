/* The runtime's threads: registers as the frame of a signal that each returns from, and what else the kernel keeps of a thread. */
#include <cpuid.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "compile_part.h"
#include "criu_image.h"

/* arch/x86/include/uapi/asm/sigcontext.h and ucontext.h */
#define FRAME_XSTATE 1
#define FRAME_SS 2
#define FRAME_SS_STRICT 4
#define XSTATE_MAGIC1 0x46505853U
#define XSTATE_MAGIC2 0x46505845U

/* Intel SDM 1, 13.4: the legacy area, the header, and what is extended. */
#define XSAVE_LEGACY 512
#define XSAVE_SOFTWARE 464 /* free for software: the kernel's struct _fpx_sw_bytes */
#define XSAVE_HEADER 64
#define XSAVE_MAX 4096

#define CODE_64 0x33
#define CPU_X86_64 1
#define TASK_ALIVE 1

struct software {
    uint32_t magic1, extended_size;
    uint64_t features;
    uint32_t size, padding[7];
};

struct fpu {
    _Alignas(64) unsigned char bytes[XSAVE_MAX + sizeof(uint32_t)];
    uint32_t size;
};

/* One component of the extended state, at the place that this processor has for it. */
static int put_component(struct fpu *f, unsigned number, const void *data, size_t bytes, struct err *e)
{
    unsigned size, offset, c, d;

    if (bytes == 0)
        return 0;
    __cpuid_count(0xd, number, size, offset, c, d);
    if (bytes > size || offset + bytes > XSAVE_MAX)
        return err_set(e, ENOTSUP, "it has a processor state that doesn't fit (%u)", number);
    memcpy(f->bytes + offset, data, bytes);
    f->size = MAX(f->size, (uint32_t)(offset + size));
    return 0;
}

static int put_extended(struct fpu *f, const CriuXsave *x, struct err *e)
{
    const uint64_t known = 0x2ff; /* legacy, AVX, MPX, AVX-512, protection keys: bits 0 to 7 and 9 */

    if (x->xstate_bv & ~known || x->has_cet)
        return err_set(e, ENOTSUP, "it has a processor state that criu doesn't keep (%#lx)", x->xstate_bv);
    memcpy(f->bytes + XSAVE_LEGACY, &x->xstate_bv, sizeof(x->xstate_bv));
    if (put_component(f, 2, x->ymmh_space, x->n_ymmh_space * 4, e) < 0 ||
        put_component(f, 3, x->bndreg_state, x->n_bndreg_state * 8, e) < 0 ||
        put_component(f, 4, x->bndcsr_state, x->n_bndcsr_state * 8, e) < 0 ||
        put_component(f, 5, x->opmask_reg, x->n_opmask_reg * 8, e) < 0 ||
        put_component(f, 6, x->zmm_upper, x->n_zmm_upper * 8, e) < 0 ||
        put_component(f, 7, x->hi16_zmm, x->n_hi16_zmm * 8, e) < 0 ||
        put_component(f, 9, x->pkru, x->n_pkru * 4, e) < 0)
        return -e->code;
    return 0;
}

static int make_fpu(const CriuFpu *p, struct fpu *f, struct err *e)
{
    struct software software = {.magic1 = XSTATE_MAGIC1};
    uint16_t words[4] = {(uint16_t)p->cwd, (uint16_t)p->swd, (uint16_t)p->twd, (uint16_t)p->fop};
    uint32_t mxcsr[2] = {p->mxcsr, p->mxcsr_mask}, magic2 = XSTATE_MAGIC2;

    *f = (struct fpu){.size = XSAVE_LEGACY + XSAVE_HEADER};
    if (p->n_st_space != 32 || p->n_xmm_space != 64 || !p->xsave)
        return err_set(e, ENOTSUP, "its floating point state is not as expected");
    memcpy(f->bytes, words, sizeof(words));
    memcpy(f->bytes + 8, &p->rip, 8);
    memcpy(f->bytes + 16, &p->rdp, 8);
    memcpy(f->bytes + 24, mxcsr, sizeof(mxcsr));
    memcpy(f->bytes + 32, p->st_space, 128);
    memcpy(f->bytes + 160, p->xmm_space, 256);
    if (put_extended(f, p->xsave, e) < 0)
        return -e->code;
    software.features = p->xsave->xstate_bv;
    software.size = f->size;
    software.extended_size = f->size + (uint32_t)sizeof(magic2);
    memcpy(f->bytes + XSAVE_SOFTWARE, &software, sizeof(software));
    memcpy(f->bytes + f->size, &magic2, sizeof(magic2));
    return 0;
}

static void set_registers(const CriuRegisters *r, struct thaw_frame *f)
{
    *f = (struct thaw_frame){.r8 = r->r8,
                             .r9 = r->r9,
                             .r10 = r->r10,
                             .r11 = r->r11,
                             .r12 = r->r12,
                             .r13 = r->r13,
                             .r14 = r->r14,
                             .r15 = r->r15,
                             .di = r->di,
                             .si = r->si,
                             .bp = r->bp,
                             .bx = r->bx,
                             .dx = r->dx,
                             .ax = r->ax,
                             .cx = r->cx,
                             .sp = r->sp,
                             .ip = r->ip,
                             .eflags = r->flags,
                             .cs = (uint16_t)r->cs,
                             .ss = (uint16_t)r->ss,
                             .flags = FRAME_XSTATE | FRAME_SS | FRAME_SS_STRICT};
}

static bool has_signals(const CriuSignals *s)
{
    return s && s->n_signals;
}

static int check_thread(const CriuCore *core, uid_t uid, struct err *e)
{
    const CriuThread *t = core->thread_core;

    if (core->mtype != CPU_X86_64 || !core->thread_info || !t || core->thread_info->gpregs->cs != CODE_64)
        return err_set(e, ENOTSUP, "it is no 64-bit program");
    if (t->sched_policy || t->sched_nice || t->pdeath_sig || has_signals(t->signals_p))
        return err_set(e, ENOTSUP, "a thread has a priority or a waiting signal");
    if (!t->creds || t->creds->uid != uid || t->creds->gid != uid || t->creds->secbits)
        return err_set(e, ENOTSUP, "a thread has other ids");
    if (t->rseq_entry && t->rseq_entry->rseq_cs_pointer)
        return err_set(e, ENOTSUP, "a thread was in a restartable sequence");
    return 0;
}

static int set_thread(const CriuCore *core, uint32_t tid, struct thaw_thread *ret, struct err *e)
{
    const CriuThread *t = core->thread_core;
    const CriuX86 *x = core->thread_info;

    *ret = (struct thaw_thread){.tid = tid,
                                .clear_tid = x->clear_tid_addr,
                                .robust_list = t->futex_rla,
                                .robust_size = t->futex_rla_len,
                                .fs_base = x->gpregs->fs_base,
                                .gs_base = x->gpregs->gs_base};
    snprintf(ret->name, sizeof(ret->name), "%s", t->comm ? t->comm : core->tc ? core->tc->comm : "");
    if (t->rseq_entry) {
        ret->rseq = t->rseq_entry->rseq_abi_pointer;
        ret->rseq_size = t->rseq_entry->rseq_abi_size;
        ret->rseq_signature = t->rseq_entry->signature;
    }
    set_registers(x->gpregs, &ret->frame);
    ret->frame.mask = core->tc ? core->tc->blk_sigset : t->blk_sigset;
    if (t->sas) {
        ret->frame.stack = t->sas->ss_sp;
        ret->frame.stack_flags = t->sas->ss_flags;
        ret->frame.stack_size = t->sas->ss_size;
    }
    return e->code = 0;
}

/* A thread's floating point state goes among the strings: both are bytes that others point to. */
static int add_fpu(struct compile *c, const CriuCore *core, struct thaw_thread *t, struct err *e)
{
    static const char zeros[64];
    const struct buf *strings = &c->part[THAW_STRINGS];
    struct fpu fpu;
    uint32_t offset;

    if (make_fpu(core->thread_info->fpregs, &fpu, e) < 0 ||
        compile_bytes(c, zeros, (64 - strings->used % 64) % 64, &offset, e) < 0 ||
        compile_bytes(c, fpu.bytes, fpu.size + sizeof(uint32_t), &offset, e) < 0)
        return -e->code;
    t->frame.fpu = offset;
    return 0;
}

static bool is_unset(const CriuItimer *t)
{
    return t->vsec == 0 && t->vusec == 0;
}

static int check_task(const CriuTask *t, struct err *e)
{
    if (t->task_state != TASK_ALIVE || t->personality || t->child_subreaper)
        return err_set(e, ENOTSUP, "its process is of a special kind");
    if (t->timers &&
        (t->timers->n_posix || !is_unset(t->timers->real) || !is_unset(t->timers->virt) || !is_unset(t->timers->prof)))
        return err_set(e, ENOTSUP, "it has timers");
    if (!t->rlimits || t->rlimits->n_rlimits != RLIM_NLIMITS)
        return err_set(e, ENOTSUP, "not all of its resource limits are known");
    return has_signals(t->signals_s) ? err_set(e, ENOTSUP, "it has a waiting signal") : 0;
}

static int add_task(struct compile *c, const CriuTask *t, struct err *e)
{
    if (check_task(t, e) < 0)
        return -e->code;
    c->head.membarrier = t->membarrier_registration_mask;
    for (size_t i = 0; i < t->n_sigactions; i++) {
        const CriuAction *a = t->sigactions[i];
        /* SIGKILL and SIGSTOP are left out. */
        uint64_t signo = i + 1 + (i >= 8) + (i >= 17);
        struct thaw_action action = {signo, a->sigaction, a->flags, a->restorer, a->mask};

        if ((a->sigaction || a->flags || a->mask) && compile_add(c, THAW_ACTIONS, &action, sizeof(action), e) < 0)
            return -e->code;
    }
    for (size_t i = 0; i < t->rlimits->n_rlimits; i++) {
        struct thaw_limit limit = {t->rlimits->rlimits[i]->cur, t->rlimits->rlimits[i]->max};

        if (compile_add(c, THAW_LIMITS, &limit, sizeof(limit), e) < 0)
            return -e->code;
    }
    return 0;
}

static CriuCore *read_core(const struct compile *c, uint32_t tid, struct err *e)
{
    auto_image struct criu_image image;
    const uint8_t *data;
    CriuCore *core = NULL;
    char name[32];
    size_t size;

    snprintf(name, sizeof(name), "core-%u.img", tid);
    if (criu_image_open(c->dir, name, &image, e) < 0)
        return NULL;
    if (criu_image_next(&image, &data, &size, e))
        core = criu_core__unpack(NULL, size, data);
    if (!core)
        err_set(e, EUCLEAN, "%s can't be read", name);
    return core;
}

static int add_thread(struct compile *c, uint32_t tid, struct err *e)
{
    CriuCore *core = read_core(c, tid, e);
    struct thaw_thread t;
    int rc = -1;

    if (!core)
        return -e->code;
    if (check_thread(core, c->uid, e) == 0 && set_thread(core, tid, &t, e) == 0 && add_fpu(c, core, &t, e) == 0 &&
        compile_add(c, THAW_THREADS, &t, sizeof(t), e) == 0)
        rc = tid != 2 ? 0 : core->tc ? add_task(c, core->tc, e) : err_set(e, EUCLEAN, "core-2.img is of no process");
    criu_core__free_unpacked(core, NULL);
    return rc < 0 ? -e->code : 0;
}

int compile_threads(struct compile *c, struct err *e)
{
    if (c->threads == 0 || c->tids[0] != 2)
        return err_set(e, ENOTSUP, "its first thread is not pid 2");
    for (unsigned i = 0; i < c->threads; i++)
        if (add_thread(c, c->tids[i], e) < 0)
            return -e->code;
    return 0;
}
