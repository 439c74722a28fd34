/* SPDX-License-Identifier: Apache-2.0
 *
 * A module for warm.cjs: what a forked Node must do that JavaScript cannot.
 *
 * reseed() gives its random numbers new seeds, OpenSSL's and V8's: all forks of one Node have the same in store. OpenSSL
 * sees a fork by its process id, and a guest's, in its box, may be the number that the frozen Node has outside. V8 sees none:
 * the isolate's generator seeds Math.random of each new context. That one has no public interface, so it is asked for by
 * name: a Node that does not show these functions is not frozen.
 *
 * own() keeps descriptors 0 to 3 from children, as Node does with all that it is started with.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/random.h>

#define EXPORT __attribute__((visibility("default")))
#define MAYBE __attribute__((weak))

/* Node-API, which is the same for all versions. */
typedef void *napi_env, *napi_value;
extern int napi_create_function(napi_env env, const char *name, size_t size, napi_value (*call)(napi_env, void *), void *data,
                                napi_value *ret);
extern int napi_set_named_property(napi_env env, napi_value object, const char *name, napi_value value);
extern int napi_get_boolean(napi_env env, bool value, napi_value *ret);

extern int RAND_poll(void) MAYBE;
extern void *current_isolate(void) __asm__("_ZN2v87Isolate10GetCurrentEv") MAYBE;
extern void *generator_of(void *isolate) __asm__("_ZN2v88internal7Isolate23random_number_generatorEv") MAYBE;
extern void set_seed(void *generator, long seed) __asm__("_ZN2v84base21RandomNumberGenerator7SetSeedEl") MAYBE;

static napi_value boolean(napi_env env, bool value) {
        napi_value ret = NULL;
        (void)napi_get_boolean(env, value, &ret);
        return ret;
}

static napi_value reseed(napi_env env, void *info) {
        (void)info;
        long seed = 0;
        bool can = RAND_poll && current_isolate && generator_of && set_seed && getrandom(&seed, sizeof seed, 0) == sizeof seed;
        if (can)
                set_seed(generator_of(current_isolate()), seed);
        return boolean(env, can && RAND_poll() == 1);
}

static napi_value own(napi_env env, void *info) {
        (void)info;
        bool done = true;
        for (int fd = 0; fd < 4; fd++)
                done &= fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
        return boolean(env, done);
}

EXPORT napi_value napi_register_module_v1(napi_env env, napi_value exports);

EXPORT napi_value napi_register_module_v1(napi_env env, napi_value exports) {
        static const struct {
                const char *name;
                napi_value (*call)(napi_env, void *);
        } all[] = { { "reseed", reseed }, { "own", own } };
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
                napi_value function = NULL;
                if (napi_create_function(env, all[i].name, (size_t)-1, all[i].call, NULL, &function) == 0)
                        (void)napi_set_named_property(env, exports, all[i].name, function);
        }
        return exports;
}
