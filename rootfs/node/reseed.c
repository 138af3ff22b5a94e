/*
 * reseed.node: the one thing that Node.js can't do for itself after a restore, to put new entropy into OpenSSL's generator. By
 * OpenSSL's own rules that is RAND_add with full entropy: the primary generator reseeds, the others follow before their next byte.
 *
 * Source: Node-API (node_api.h); the handful of declarations here spares its headers. RAND_add is the libcrypto's that Node
 * has loaded.
 */
#include <stddef.h>
#include <sys/random.h>

typedef struct napi_env__ *napi_env;
typedef struct napi_value__ *napi_value;
typedef struct napi_callback_info__ *napi_callback_info;

int napi_create_function(napi_env env, const char *name, size_t length,
                         napi_value (*call)(napi_env, napi_callback_info), void *data, napi_value *ret);
int napi_throw_error(napi_env env, const char *code, const char *message);
void RAND_add(const void *bytes, int count, double entropy);
napi_value napi_register_module_v1(napi_env env, napi_value exports);

static napi_value reseed(napi_env env, napi_callback_info info)
{
    char bytes[32];

    (void)info;
    if (getrandom(bytes, sizeof(bytes), 0) == (ssize_t)sizeof(bytes))
        RAND_add(bytes, sizeof(bytes), sizeof(bytes));
    else
        napi_throw_error(env, NULL, "no random bytes from the kernel");
    return NULL;
}

napi_value napi_register_module_v1(napi_env env, napi_value exports)
{
    napi_value function = NULL;

    return napi_create_function(env, "reseed", 6, reseed, NULL, &function) == 0 ? function : exports;
}
