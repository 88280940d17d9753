/*
 * Values of a template, as Python has them: what a chat template sees of the JSON it is given, and what it makes.
 *
 * A value is 16 bytes and is passed by copy; what it points to lives in an arena, of the template (constants) or of the
 * render (everything else), and never changes but for namespaces. So lists may share their items and nothing is ever
 * released one by one. Text is UTF-8 and well-formed; Python counts its code points, hence `chars`.
 */
#ifndef EM_TEMPLATE_VALUE_H
#define EM_TEMPLATE_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <emily/status.h>

typedef enum em__jkind {
    J_MISSING, /* an argument that was not given; no template ever sees it */
    J_UNDEFINED,
    J_NONE,
    J_BOOL,
    J_INT,
    J_FLOAT,
    J_STRING,
    J_LIST,
    J_TUPLE,
    J_DICT,
    J_RANGE,
    J_VIEW,      /* of a dict: its keys, values or items */
    J_ITERATOR,  /* what lazy filters give: can be gone through once */
    J_NAMESPACE, /* the only one that changes */
    J_MACRO,
    J_FUNCTION, /* a global: range, namespace, ... */
    J_METHOD,   /* bound to a value */
    J_LOOP
} em__jkind;

typedef struct em__jstring {
    const char *bytes; /* not NUL-terminated */
    size_t length, chars;
    bool markup; /* came out of |safe or |escape: + escapes what is added to it */
} em__jstring;

typedef struct em__jrange {
    int64_t start, stop, step;
    size_t length;
} em__jrange;

/* Why a value is undefined, for the message of whoever uses it: a text of its own, or a name looked for in an object of
 * some type (NULL: among the variables). */
typedef struct em__jundefined {
    const char *hint;
    const em__jstring *name;
    const char *type;
} em__jundefined;

typedef struct em__jlist em__jlist;
typedef struct em__jdict em__jdict;
typedef struct em__jview em__jview;
typedef struct em__jiterator em__jiterator;
typedef struct em__jmacro em__jmacro;
typedef struct em__jmethod em__jmethod;
typedef struct em__jloop em__jloop;
typedef struct em__jbuiltin em__jbuiltin;
typedef struct em__jrun em__jrun;

typedef struct em__jvalue {
    em__jkind kind;
    union {
        bool truth;
        int64_t integer;
        double real;
        const em__jstring *string;
        const em__jlist *list; /* also of a tuple */
        em__jdict *dict;       /* also of a namespace */
        const em__jrange *range;
        const em__jview *view;
        em__jiterator *iterator;
        const em__jmacro *macro;
        const em__jbuiltin *function;
        const em__jmethod *method;
        em__jloop *loop;
        const em__jundefined *undefined;
    };
} em__jvalue;

struct em__jlist {
    const em__jvalue *items;
    size_t length;
    bool group; /* a tuple of groupby: it has .grouper and .list */
};

typedef struct em__jpair {
    em__jvalue key, value;
} em__jpair;

struct em__jdict {
    em__jpair *pairs; /* in the order of insertion; keys are unique */
    size_t length, capacity;
};

typedef enum em__jview_kind { J_KEYS, J_VALUES, J_ITEMS } em__jview_kind;

struct em__jview {
    const em__jdict *dict;
    em__jview_kind kind;
};

struct em__jiterator {
    const em__jlist *list;
    size_t at;
};

struct em__jmethod {
    em__jvalue self;
    const em__jbuiltin *function;
};

/* Goes through whatever Python would. */
typedef struct em__jiter {
    em__jvalue source;
    size_t at; /* of the next item; in a string, its byte */
} em__jiter;

static inline em__jvalue em__j_none(void)
{
    return (em__jvalue){.kind = J_NONE};
}

static inline em__jvalue em__j_bool(bool truth)
{
    return (em__jvalue){.kind = J_BOOL, .truth = truth};
}

static inline em__jvalue em__j_int(int64_t integer)
{
    return (em__jvalue){.kind = J_INT, .integer = integer};
}

static inline em__jvalue em__j_float(double real)
{
    return (em__jvalue){.kind = J_FLOAT, .real = real};
}

/* A value over a string that stands already. */
static inline em__jvalue em__j_of_string(const em__jstring *string)
{
    return (em__jvalue){.kind = J_STRING, .string = string};
}

/* Python's int, of which bool is one. */
static inline bool em__j_is_int(em__jvalue v)
{
    return v.kind == J_INT || v.kind == J_BOOL;
}

static inline int64_t em__j_as_int(em__jvalue v)
{
    return v.kind == J_BOOL ? v.truth : v.integer;
}

static inline bool em__j_is_number(em__jvalue v)
{
    return em__j_is_int(v) || v.kind == J_FLOAT;
}

static inline double em__j_as_real(em__jvalue v)
{
    return v.kind == J_FLOAT ? v.real : (double)em__j_as_int(v);
}

/* New strings: over bytes that outlive the render; from a copy of them. */
em_status em__j_borrow(em__jrun *run, const char *bytes, size_t length, em__jvalue *out);
em_status em__j_copy(em__jrun *run, const char *bytes, size_t length, em__jvalue *out);
em_status em__j_copy_text(em__jrun *run, const char *text, em__jvalue *out);

/* Is it this text? */
bool em__j_is(const em__jstring *string, const char *text);

/* The part from byte `start` to `end` of a string; shares its bytes. */
em_status em__j_part(em__jrun *run, const em__jstring *s, size_t start, size_t end, em__jvalue *out);

/* A list or tuple (`kind`) over items that the caller got from em__j_alloc and leaves alone from now on. */
em_status em__j_list(em__jrun *run, em__jkind kind, const em__jvalue *items, size_t length, em__jvalue *out);
em_status em__j_pair_tuple(em__jrun *run, em__jvalue a, em__jvalue b, em__jvalue *out);
em_status em__j_iterator(em__jrun *run, const em__jvalue *items, size_t length, em__jvalue *out);

/* An undefined value: with a hint, or for a name that `object` (NULL: the variables) lacks. */
em_status em__j_undefined(em__jrun *run, const char *hint, const em__jstring *name, const em__jvalue *object,
                          em__jvalue *out);

/* Dicts. The key must be hashable: em__j_dict_set fails where Python does, em__j_dict_get finds nothing. */
bool em__j_is_hashable(em__jvalue key);
em_status em__j_dict_new(em__jrun *run, em__jvalue *out);
em_status em__j_dict_set(em__jrun *run, em__jdict *dict, em__jvalue key, em__jvalue value);
const em__jvalue *em__j_dict_get(em__jrun *run, const em__jdict *dict, em__jvalue key);
const em__jvalue *em__j_dict_text(const em__jdict *dict, const char *key, size_t length);

/* Python's name of the type: "str", "dict", ... */
const char *em__j_type(em__jvalue v);

bool em__j_truth(em__jvalue v);

/* len(); fails for what has none. */
em_status em__j_length(em__jrun *run, em__jvalue v, size_t *length);
bool em__j_has_length(em__jvalue v);

/* iter() and next(); the first fails for what is no iterable. */
em_status em__j_iter(em__jrun *run, em__jvalue v, em__jiter *iter);
em_status em__j_next(em__jrun *run, em__jiter *iter, em__jvalue *item, bool *more);
bool em__j_is_iterable(em__jvalue v);

/* list(v): its items in an array. */
em_status em__j_items(em__jrun *run, em__jvalue v, const em__jvalue **items, size_t *length);

/* v[index] of a sequence whose length is at hand; index is in range. */
em_status em__j_at(em__jrun *run, em__jvalue v, size_t index, em__jvalue *out);

/* a == b, a < b. The second fails where Python does, with `symbol` in the message. */
em_status em__j_equal(em__jrun *run, em__jvalue a, em__jvalue b, bool *equal);
em_status em__j_less(em__jrun *run, em__jvalue a, em__jvalue b, const char *symbol, bool *less);

/* str(v), which leaves strings as they are. */
em_status em__j_str(em__jrun *run, em__jvalue v, em__jvalue *out);

#endif
