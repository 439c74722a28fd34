/* SPDX-License-Identifier: Apache-2.0
 *
 * R's values as JSON. A vector of one value becomes that value, a longer one a list, a list with names an object; NA, NaN and
 * infinite numbers become null. In a table (class retort_table) each column stays a list.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runner.h"

enum { DEEPEST = 100 };

SEXP values_text(const char *text, size_t size) {
        SEXP chars = Rf_protect(Rf_mkCharLenCE(text, (int)size, CE_UTF8));
        SEXP ret = Rf_ScalarString(chars);
        Rf_unprotect(1);
        return ret;
}

static json_t *text_of(SEXP chars) {
        if (chars == R_NaString)
                return json_null();
        const char *text = Rf_translateCharUTF8(chars);
        return rt_frames_text(text, strlen(text));
}

json_t *values_string(SEXP value) {
        if (TYPEOF(value) == STRSXP && Rf_xlength(value) > 0 && STRING_ELT(value, 0) != R_NaString)
                return text_of(STRING_ELT(value, 0));
        return json_string("");
}

static json_t *number(double value) {
        if (!R_finite(value))
                return json_null();
        if (value == floor(value) && fabs(value) < 9007199254740992.0)
                return json_integer((json_int_t)value);
        return json_real(value);
}

static json_t *value_of(SEXP value, int depth, bool is_column);

static json_t *element(SEXP value, ptrdiff_t i, int depth) {
        switch (TYPEOF(value)) {
        case LGLSXP:
                return LOGICAL(value)[i] == R_NaInt ? json_null() : json_boolean(LOGICAL(value)[i]);
        case INTSXP:
                return INTEGER(value)[i] == R_NaInt ? json_null() : json_integer(INTEGER(value)[i]);
        case REALSXP:
                return number(REAL(value)[i]);
        case STRSXP:
                return text_of(STRING_ELT(value, i));
        case RAWSXP:
                return json_integer(RAW(value)[i]);
        case VECSXP:
                return value_of(VECTOR_ELT(value, i), depth + 1, false);
        default:
                return json_null();
        }
}

static json_t *object_of(SEXP value, SEXP names, int depth) {
        json_t *ret = json_object();
        bool is_table = Rf_inherits(value, "retort_table");
        for (ptrdiff_t i = 0; i < Rf_xlength(value); i++) {
                json_t *name = text_of(STRING_ELT(names, i));
                json_t *member = is_table ? value_of(VECTOR_ELT(value, i), depth + 1, true) : element(value, i, depth);
                (void)json_object_set_new_nocheck(ret, json_is_string(name) ? json_string_value(name) : "NA", member);
                json_decref(name);
        }
        return ret;
}

/* A text of class json, as jsonlite makes it, is JSON already. */
static json_t *parsed(SEXP value) {
        json_t *text = values_string(value);
        json_t *ret = json_loadb(json_string_value(text), json_string_length(text), JSON_DECODE_ANY, NULL);
        if (ret)
                json_decref(text);
        return ret ? ret : text;
}

static json_t *value_of(SEXP value, int depth, bool is_column) {
        if (depth > DEEPEST || TYPEOF(value) == NILSXP)
                return json_null();
        if (TYPEOF(value) == STRSXP && Rf_inherits(value, "json"))
                return parsed(value);
        SEXP names = Rf_getAttrib(value, R_NamesSymbol);
        ptrdiff_t n = Rf_xlength(value);
        if (TYPEOF(value) == VECSXP && TYPEOF(names) == STRSXP)
                return object_of(value, names, depth);
        if (n == 1 && TYPEOF(value) != VECSXP && !is_column && !Rf_inherits(value, "AsIs"))
                return element(value, 0, depth);
        json_t *ret = json_array();
        for (ptrdiff_t i = 0; i < n; i++)
                (void)json_array_append_new(ret, element(value, i, depth));
        return ret;
}

static bool is_json(const char *mime) {
        size_t n = strlen(mime);
        return strcmp(mime, "application/json") == 0 || (n > 5 && strcmp(mime + n - 5, "+json") == 0);
}

/* Lines of a text, put together. */
static json_t *lines_of(SEXP value) {
        if (Rf_xlength(value) == 1)
                return values_string(value);
        char *text = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&text, &size);
        for (ptrdiff_t i = 0; out && i < Rf_xlength(value); i++) {
                json_t *line = text_of(STRING_ELT(value, i));
                (void)fprintf(out, "%s%s", i ? "\n" : "", json_is_string(line) ? json_string_value(line) : "NA");
                json_decref(line);
        }
        if (!out || fclose(out) != 0)
                size = 0;
        json_t *ret = rt_frames_text(text ? text : "", size);
        free(text);
        return ret;
}

static json_t *of_type(const char *mime, SEXP value) {
        if (TYPEOF(value) == RAWSXP)
                return rt_frames_is_binary(mime) ? rt_frames_base64(RAW(value), (size_t)Rf_xlength(value))
                                                 : rt_frames_text((const char *)RAW(value), (size_t)Rf_xlength(value));
        if (is_json(mime))
                return TYPEOF(value) == STRSXP && Rf_xlength(value) == 1 ? parsed(value) : value_of(value, 0, false);
        if (TYPEOF(value) == STRSXP)
                return lines_of(value); /* base64 by the program itself, where the type is binary */
        json_t *json = value_of(value, 0, false);
        char *text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
        json_decref(json);
        json_t *ret = rt_frames_text(text ? text : "", text ? strlen(text) : 0);
        free(text);
        return ret;
}

json_t *values_bundle(SEXP list) {
        json_t *ret = json_object();
        SEXP names = Rf_getAttrib(list, R_NamesSymbol);
        if (TYPEOF(list) != VECSXP || TYPEOF(names) != STRSXP)
                return ret;
        for (ptrdiff_t i = 0; i < Rf_xlength(list); i++) {
                json_t *mime = text_of(STRING_ELT(names, i));
                if (json_is_string(mime) && TYPEOF(VECTOR_ELT(list, i)) != NILSXP)
                        (void)json_object_set_new_nocheck(ret, json_string_value(mime), of_type(json_string_value(mime), VECTOR_ELT(list, i)));
                json_decref(mime);
        }
        return ret;
}
