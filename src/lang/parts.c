/* SPDX-License-Identifier: Apache-2.0
 *
 * What a runtime can do: run whole programs, keep state between cells, or both; and what it must have for that.
 */
#include "base/util.h"
#include "lang/runtime.h"

bool rt_runtime_has_programs(const struct rt_runtime *runtime) {
        return runtime->run.argv_node;
}

bool rt_runtime_has_runner(const struct rt_runtime *runtime) {
        return runtime->runner.step.n_argv > 0;
}

static const struct rt_yaml_node *key_of(const struct rt_yaml_node *map, const char *name) {
        const struct rt_yaml_node *node = map->first;
        while (node && strcmp(node->key->text, name) != 0)
                node = node->next;
        return node ? node->key : NULL;
}

int rt_runtime_check_parts(const struct rt_yaml *yaml, const struct rt_yaml_node *root, struct rt_runtime *runtime) {
        static const char *const needed[] = { "extensions", "source" };
        static const char *const useless[] = { "source", "compile", "warm", "diagnostics" };
        static const char *const none[] = { NULL };
        const bool run = key_of(root, "run");
        if (!run && !key_of(root, "runner"))
                return rt_yaml_fail(yaml, root, "a runtime needs 'run', for programs, or 'runner', for contexts, or both");
        for (size_t i = 0; run && i < RT_LEN(needed); i++)
                if (!key_of(root, needed[i]))
                        return rt_yaml_fail(yaml, root, "key '%s' is missing, which 'run' needs", needed[i]);
        for (size_t i = 0; !run && i < RT_LEN(useless); i++)
                if (key_of(root, useless[i]))
                        return rt_yaml_fail(yaml, key_of(root, useless[i]), "'%s' is for programs, and there is no 'run'", useless[i]);
        if (!runtime->extensions)
                runtime->extensions = none;
        return 0;
}
