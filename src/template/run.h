/*
 * A render: its memory, its limits, its output, and the variables in scope.
 *
 * Everything that a render makes comes from one arena and is counted, so that no template takes more than it may. Every
 * node that is evaluated is a step, and so is each piece of the bytes that a filter or method goes through: the time is
 * bounded, too. Recursion is counted in `depth`.
 */
#ifndef EM_TEMPLATE_RUN_H
#define EM_TEMPLATE_RUN_H

#include "core/arena.h"
#include "core/error.h"
#include "core/alloc.h"
#include "core/str.h"
#include "template/value.h"

typedef struct em__jvariable {
    const em__jstring *name;
    em__jvalue value;
} em__jvariable;

/* Variables of a block. A loop's scope is emptied for the next turn unless a macro holds on to it. */
typedef struct em__jscope {
    struct em__jscope *parent;
    em__jvariable *variables;
    size_t length, capacity;
    bool captured;
} em__jscope;

typedef enum em__jflow { J_GO_ON, J_BREAK, J_CONTINUE } em__jflow;

/* The arguments of a call: positional ones, then those with names. */
typedef struct em__jargs {
    const em__jvalue *values; /* of `count` + `named` */
    const em__jstring *const *names;
    size_t count, named;
} em__jargs;

/* What a call is given by most: bound to the parameters of the signature, J_MISSING where an optional one was not
 * given; `all` is the call as it was written. `self` is the subject of a filter, test or method. */
typedef em_status (*em__jfn)(em__jrun *run, em__jvalue self, const em__jvalue *arg, const em__jargs *all,
                             em__jvalue *out);

enum { EM__J_MOST_PARAMETERS = 6 };

/* `signature`: names of parameters, the optional ones after a '|', as in "old new|count"; NULL: any arguments. */
struct em__jbuiltin {
    const char *name, *signature;
    em__jfn fn;
};

struct em__jrun {
    const struct em_template *source;
    em__arena arena;
    size_t memory, memory_limit; /* bytes of the arena in use */
    size_t work, work_limit;     /* in sixteenths of a step */
    size_t output_limit;
    int depth;
    int line; /* being evaluated */
    em__str out;
    em__jscope *scope;
    em__jdict *context; /* what the caller gave: the outermost variables */
    em__jflow flow;
    int64_t now; /* seconds since 1970, for strftime_now */
};

/* Fails as EM_ERROR_INVALID_ARGUMENT, "<name>: line <n>: <text>". em__j_limit: as EM_ERROR_FORMAT. */
em_status em__j_fail(em__jrun *run, const char *format, ...) EM_PRINTF(2, 3);
em_status em__j_limit(em__jrun *run, const char *format, ...) EM_PRINTF(2, 3);

/* Fails because an undefined value was used. */
em_status em__j_fail_undefined(em__jrun *run, em__jvalue v);

/* Counted memory of the render; NULL after a failure. 16-byte aligned, uninitialised. */
void *em__j_alloc(em__jrun *run, size_t count, size_t size);

/* Counts work: EM__J_STEP a step, one a byte that is gone through. */
enum { EM__J_STEP = 16 };
em_status em__j_work(em__jrun *run, size_t amount);

/* Around every recursion. em__j_enter counts a step, too. */
em_status em__j_enter(em__jrun *run);
static inline void em__j_leave(em__jrun *run)
{
    run->depth--;
}

/* Adds to the output. */
em_status em__j_emit(em__jrun *run, const char *bytes, size_t length);

/* Text that grows in the arena. */
typedef struct em__jtext {
    char *data;
    size_t length, capacity;
} em__jtext; /* zero-initialise */

em_status em__j_add(em__jrun *run, em__jtext *text, const char *bytes, size_t length);
em_status em__j_add_times(em__jrun *run, em__jtext *text, const char *bytes, size_t length, int64_t times);
em_status em__j_add_char(em__jrun *run, em__jtext *text, char c);
em_status em__j_add_text(em__jrun *run, em__jtext *text, const char *bytes);
em_status em__j_text_value(em__jrun *run, const em__jtext *text, em__jvalue *out);

/* Appends str(v), repr(v), json.dumps(v). */
em_status em__j_print(em__jrun *run, em__jtext *text, em__jvalue v);
em_status em__j_repr(em__jrun *run, em__jtext *text, em__jvalue v);

typedef struct em__jjson {
    bool ascii, sorted;
    const em__jstring *indent;     /* NULL: on one line */
    const em__jstring *item, *key; /* separators */
} em__jjson;

em_status em__j_json(em__jrun *run, em__jtext *text, em__jvalue v, const em__jjson *how);

/* Python's repr of a float; `out` has 40 bytes. Returns its length. */
size_t em__j_print_real(char *out, double value);

/* "%.<precision><conversion>" of e, f, g, with '.' in every locale. Returns the length that `out` holds. */
size_t em__j_format_real(char *out, size_t size, char conversion, int precision, bool alternate, double value);

/* `format % value`, and format.format(...). */
em_status em__j_percent(em__jrun *run, const em__jstring *format, em__jvalue value, em__jvalue *out);
em_status em__j_format(em__jrun *run, const em__jstring *format, const em__jargs *args, em__jvalue *out);

/* strftime, in English; the time is local. */
em_status em__j_strftime(em__jrun *run, const em__jstring *format, em__jvalue *out);

/* v as markup; `escape`: & < > " ' of plain text become entities. */
em_status em__j_mark(em__jrun *run, em__jvalue v, bool escape, em__jvalue *out);

/* Operators: '+', '-', '*', '/', 'd' (//), '%', 'p' (**). */
em_status em__j_binary(em__jrun *run, char op, em__jvalue a, em__jvalue b, em__jvalue *out);
em_status em__j_negate(em__jrun *run, em__jvalue v, bool minus, em__jvalue *out);
em_status em__j_contains(em__jrun *run, em__jvalue container, em__jvalue item, bool *in);

/* obj.name, obj[key], obj[start:stop:step] (J_NONE where one is left out). */
em_status em__j_getattr(em__jrun *run, em__jvalue object, const em__jstring *name, em__jvalue *out);
em_status em__j_getitem(em__jrun *run, em__jvalue object, em__jvalue key, em__jvalue *out);
em_status em__j_slice(em__jrun *run, em__jvalue object, const em__jvalue bounds[3], em__jvalue *out);

/* obj.a.b.0, as filters take it: "attribute". J_MISSING or J_NONE: the object itself. */
em_status em__j_path(em__jrun *run, em__jvalue object, em__jvalue attribute, em__jvalue *out);

/* Binds the arguments and calls. */
em_status em__j_call_builtin(em__jrun *run, const em__jbuiltin *builtin, em__jvalue self, const em__jargs *args,
                             em__jvalue *out);
em_status em__j_call(em__jrun *run, em__jvalue callee, const em__jargs *args, em__jvalue *out);

/* Tables; NULL for an unknown name. */
const em__jbuiltin *em__j_filter(const char *name, size_t length);
const em__jbuiltin *em__j_test(const char *name, size_t length);
const em__jbuiltin *em__j_global(const char *name, size_t length);
const em__jbuiltin *em__j_method(em__jvalue self, const char *name, size_t length);
const em__jbuiltin *em__j_find(const em__jbuiltin *table, const char *name, size_t length);

/* Tables of the files beside; a row without a name ends each. */
em_status em__j_filter_map(em__jrun *run, em__jvalue self, const em__jvalue *arg, const em__jargs *all,
                           em__jvalue *out);
em_status em__j_filter_select(em__jrun *run, em__jvalue self, const em__jvalue *arg, const em__jargs *all,
                              em__jvalue *out);
em_status em__j_filter_reject(em__jrun *run, em__jvalue self, const em__jvalue *arg, const em__jargs *all,
                              em__jvalue *out);
em_status em__j_filter_selectattr(em__jrun *run, em__jvalue self, const em__jvalue *arg, const em__jargs *all,
                                  em__jvalue *out);
em_status em__j_filter_rejectattr(em__jrun *run, em__jvalue self, const em__jvalue *arg, const em__jargs *all,
                                  em__jvalue *out);
extern const em__jbuiltin em__j_sequence_filters[], em__j_number_filters[], em__j_string_methods[];

/* Upper and lower case, titles; strings without letters stay as they are. */
typedef enum em__jcase { J_UPPER, J_LOWER, J_CAPITALIZE, J_TITLE, J_SWAP } em__jcase;
em_status em__j_change_case(em__jrun *run, const em__jstring *s, em__jcase how, em__jvalue *out);

/* Every `old` (at most `most`; < 0: all) becomes `fresh`; white space or `chars` cut from the left (1), right (2). */
em_status em__j_replace(em__jrun *run, const em__jstring *s, const em__jstring *old, const em__jstring *fresh,
                        int64_t most, em__jvalue *out);
em_status em__j_strip(em__jrun *run, em__jvalue s, em__jvalue chars, int sides, em__jvalue *out);

/* str.splitlines: the lines as a list. */
em_status em__j_split_lines(em__jrun *run, const em__jstring *s, bool keep_ends, em__jvalue *out);

/* separator.join(items), of strings only unless `print`. */
em_status em__j_join(em__jrun *run, const em__jstring *separator, em__jvalue items, em__jvalue attribute, bool print,
                     em__jvalue *out);

/* Sorts in place, stably, by `keys` (of `items`, moved along). */
em_status em__j_sort(em__jrun *run, em__jvalue *items, em__jvalue *keys, size_t count, bool reverse);

/* A filter or test by name, for map and select; fails when there is none. */
em_status em__j_apply_filter(em__jrun *run, em__jvalue name, em__jvalue subject, const em__jargs *args,
                             em__jvalue *out);
em_status em__j_apply_test(em__jrun *run, em__jvalue name, em__jvalue subject, const em__jargs *args, bool *truth);

/* Scopes. */
em_status em__j_push_scope(em__jrun *run, em__jscope *parent);
em_status em__j_assign(em__jrun *run, const em__jstring *name, em__jvalue value);
em_status em__j_lookup(em__jrun *run, const em__jstring *name, em__jvalue *out);

/* Optional arguments. */
static inline bool em__j_given(em__jvalue v)
{
    return v.kind != J_MISSING;
}

em_status em__j_want_int(em__jrun *run, const char *what, em__jvalue v, int64_t *out);
em_status em__j_want_string(em__jrun *run, const char *what, em__jvalue v, const em__jstring **out);

#endif
