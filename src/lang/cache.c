/* SPDX-License-Identifier: Apache-2.0
 *
 * compile.cache of runtime.yaml: what of a compile step may serve again.
 */
#include <fnmatch.h>

#include "lang/runtime.h"

static int read_outputs(const struct rt_yaml *yaml, const struct rt_yaml_node *node,
                        const struct rt_yaml_key *key, void *target) {
        int r = rt_yaml_read_texts(yaml, node, key, target);
        if (r == 0 && !node->first)
                return rt_yaml_fail(yaml, node, "'%s' needs at least one", key->name);
        for (const struct rt_yaml_node *item = node->first; item && r == 0; item = item->next) {
                const char *name = strncmp(item->text, "**/", 3) == 0 ? item->text + 3 : item->text;
                if (!*name || strchr(name, '/'))
                        r = rt_yaml_fail(yaml, item,
                                         "an output is a file name, maybe with * and ?, or that behind '**/', not '%s'",
                                         item->text);
        }
        return r;
}

static int read_directories(const struct rt_yaml *yaml, const struct rt_yaml_node *node,
                            const struct rt_yaml_key *key, void *target) {
        int r = rt_yaml_read_texts(yaml, node, key, target);
        for (const struct rt_yaml_node *item = node->first; item && r == 0; item = item->next)
                if (item->text[0] != '/')
                        r = rt_yaml_fail(yaml, item, "'%s' must be absolute, not '%s'", key->name, item->text);
        return r;
}

const struct rt_yaml_key rt_lang_cache_keys[] = {
        { "outputs", read_outputs, offsetof(struct rt_lang_cache, outputs), .required = true },
        { "reads", read_directories, offsetof(struct rt_lang_cache, reads), .required = true },
        { "unless", rt_yaml_read_texts, offsetof(struct rt_lang_cache, unless), .required = true },
        { 0 },
};
const struct rt_lang_cache *rt_runtime_cache(const struct rt_runtime *runtime) {
        return runtime->compile.cache.outputs ? &runtime->compile.cache : NULL;
}

bool rt_lang_is_output(const struct rt_lang_cache *cache, const char *path) {
        const char *slash = strrchr(path, '/');
        for (const char *const *output = cache->outputs; *output; output++) {
                bool anywhere = strncmp(*output, "**/", 3) == 0;
                const char *name = anywhere && slash ? slash + 1 : path;
                if (fnmatch(anywhere ? *output + 3 : *output, name, FNM_PATHNAME | FNM_PERIOD) == 0)
                        return true;
        }
        return false;
}
