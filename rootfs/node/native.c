/*
 * native.node: what Node.js can't do for itself around a snapshot.
 *
 *   reseed(array)   puts new entropy into OpenSSL's generator, and random bytes into a typed array. By OpenSSL's own rules that is
 *                   RAND_add with full entropy: the primary generator reseeds, the others follow before their next byte.
 *   shrink()        gives memory back that is not needed: collects all garbage and returns free pages to the kernel.
 *
 * Sources: Node-API (node_api.h); the handful of declarations here spares its headers. RAND_add is the libcrypto's that Node has
 * loaded. v8::Isolate::LowMemoryNotification, for embedders of V8, has a C++ name; `gc` of --expose-gc would need a context of its
 * own, some 2 MB, and collects less. Where V8 has it no more, memory is only trimmed.
 */
#include <malloc.h>
#include <stddef.h>
#include <sys/random.h>

typedef struct napi_env__ *napi_env;
typedef struct napi_value__ *napi_value;
typedef struct napi_callback_info__ *napi_callback_info;

int napi_create_function(napi_env env, const char *name, size_t length,
                         napi_value (*call)(napi_env, napi_callback_info), void *data, napi_value *ret);
int napi_set_named_property(napi_env env, napi_value object, const char *name, napi_value value);
int napi_get_cb_info(napi_env env, napi_callback_info info, size_t *argc, napi_value *argv, napi_value *ret_this,
                     void **ret_data);
int napi_get_typedarray_info(napi_env env, napi_value array, int *ret_type, size_t *ret_length, void **ret_data,
                             napi_value *ret_buffer, size_t *ret_offset);
int napi_throw_error(napi_env env, const char *code, const char *message);
void RAND_add(const void *bytes, int count, double entropy);
void *_ZN2v87Isolate10GetCurrentEv(void) __attribute__((weak));
void _ZN2v87Isolate21LowMemoryNotificationEv(void *isolate) __attribute__((weak));
napi_value napi_register_module_v1(napi_env env, napi_value exports);

static int fill(void *bytes, size_t size)
{
    return getrandom(bytes, size, 0) == (ssize_t)size;
}

/* The argument is a Uint32Array. */
static napi_value reseed(napi_env env, napi_callback_info info)
{
    napi_value array = NULL;
    size_t argc = 1, length = 0;
    char bytes[32];
    void *data;

    if (napi_get_cb_info(env, info, &argc, &array, NULL, NULL) != 0 || argc != 1 ||
        napi_get_typedarray_info(env, array, NULL, &length, &data, NULL, NULL) != 0)
        napi_throw_error(env, NULL, "reseed wants a typed array");
    else if (!fill(bytes, sizeof(bytes)) || !fill(data, length * sizeof(unsigned)))
        napi_throw_error(env, NULL, "no random bytes from the kernel");
    else
        RAND_add(bytes, sizeof(bytes), sizeof(bytes));
    return NULL;
}

static napi_value shrink(napi_env env, napi_callback_info info)
{
    (void)env;
    (void)info;
    if (_ZN2v87Isolate10GetCurrentEv && _ZN2v87Isolate21LowMemoryNotificationEv)
        _ZN2v87Isolate21LowMemoryNotificationEv(_ZN2v87Isolate10GetCurrentEv());
    malloc_trim(0);
    return NULL;
}

static void export(napi_env env, napi_value exports, const char *name, napi_value (*call)(napi_env, napi_callback_info))
{
    napi_value function;

    if (napi_create_function(env, name, (size_t)-1, call, NULL, &function) == 0)
        napi_set_named_property(env, exports, name, function);
}

napi_value napi_register_module_v1(napi_env env, napi_value exports)
{
    export(env, exports, "reseed", reseed);
    export(env, exports, "shrink", shrink);
    return exports;
}
