/* What may follow `is`. */
#include "template/run.h"
#include "template/text.h"

#define TEST(name)                                                                                                     \
    static em_status name(em__jrun *run, em__jvalue self, const em__jvalue *arg, const em__jargs *all, em__jvalue *out)

/* A test that looks at the kind of the value alone. */
#define KIND_TEST(name, condition)                                                                                     \
    TEST(name)                                                                                                         \
    {                                                                                                                  \
        (void)run, (void)arg, (void)all;                                                                               \
        *out = em__j_bool(condition);                                                                                  \
        return EM_OK;                                                                                                  \
    }

KIND_TEST(is_defined, self.kind != J_UNDEFINED)
KIND_TEST(is_undefined, self.kind == J_UNDEFINED)
KIND_TEST(is_none, self.kind == J_NONE)
KIND_TEST(is_boolean, self.kind == J_BOOL)
KIND_TEST(is_true, self.kind == J_BOOL && self.truth)
KIND_TEST(is_false, self.kind == J_BOOL && !self.truth)
KIND_TEST(is_integer, self.kind == J_INT)
KIND_TEST(is_float, self.kind == J_FLOAT)
KIND_TEST(is_number, em__j_is_number(self))
KIND_TEST(is_string, self.kind == J_STRING)
KIND_TEST(is_mapping, self.kind == J_DICT)
KIND_TEST(is_sequence, self.kind == J_UNDEFINED || (self.kind >= J_STRING && self.kind <= J_RANGE))
KIND_TEST(is_iterable, em__j_is_iterable(self) || self.kind == J_LOOP)
KIND_TEST(is_callable, self.kind == J_UNDEFINED || self.kind >= J_MACRO)
KIND_TEST(is_escaped, self.kind == J_STRING && self.string->markup)

static em_status remainder_is(em__jrun *run, em__jvalue self, int64_t by, int64_t wanted, em__jvalue *out)
{
    bool equal;
    EM__TRY(em__j_binary(run, '%', self, em__j_int(by), out));
    EM__TRY(em__j_equal(run, *out, em__j_int(wanted), &equal));
    *out = em__j_bool(equal);
    return EM_OK;
}

TEST(is_odd)
{
    (void)arg, (void)all;
    return remainder_is(run, self, 2, 1, out);
}

TEST(is_even)
{
    (void)arg, (void)all;
    return remainder_is(run, self, 2, 0, out);
}

TEST(is_divisibleby)
{
    bool equal;
    (void)all;
    EM__TRY(em__j_binary(run, '%', self, arg[0], out));
    EM__TRY(em__j_equal(run, *out, em__j_int(0), &equal));
    *out = em__j_bool(equal);
    return EM_OK;
}

TEST(is_eq)
{
    bool equal;
    (void)all;
    EM__TRY(em__j_equal(run, self, arg[0], &equal));
    *out = em__j_bool(equal);
    return EM_OK;
}

TEST(is_ne)
{
    EM__TRY(is_eq(run, self, arg, all, out));
    out->truth = !out->truth;
    return EM_OK;
}

TEST(is_lt)
{
    bool less;
    (void)all;
    EM__TRY(em__j_less(run, self, arg[0], "<", &less));
    *out = em__j_bool(less);
    return EM_OK;
}

TEST(is_gt)
{
    bool less;
    (void)all;
    EM__TRY(em__j_less(run, arg[0], self, ">", &less));
    *out = em__j_bool(less);
    return EM_OK;
}

TEST(is_le)
{
    bool less, equal;
    (void)all;
    EM__TRY(em__j_less(run, self, arg[0], "<=", &less));
    EM__TRY(em__j_equal(run, self, arg[0], &equal));
    *out = em__j_bool(less || equal);
    return EM_OK;
}

TEST(is_ge)
{
    bool less, equal;
    (void)all;
    EM__TRY(em__j_less(run, arg[0], self, ">=", &less));
    EM__TRY(em__j_equal(run, self, arg[0], &equal));
    *out = em__j_bool(less || equal);
    return EM_OK;
}

TEST(is_in)
{
    bool in;
    (void)all;
    EM__TRY(em__j_contains(run, arg[0], self, &in));
    *out = em__j_bool(in);
    return EM_OK;
}

/* The same object: values are, when they are equal and of one kind. */
TEST(is_sameas)
{
    em__jvalue other = arg[0];
    (void)run, (void)all;
    if (self.kind != other.kind)
        *out = em__j_bool(false);
    else if (self.kind == J_STRING)
        return is_eq(run, self, arg, all, out);
    else if (self.kind == J_BOOL)
        *out = em__j_bool(self.truth == other.truth);
    else
        *out = em__j_bool(self.kind == J_NONE || self.integer == other.integer);
    return EM_OK;
}

static em_status is_cased(em__jrun *run, em__jvalue self, const char *method, em__jvalue *out)
{
    const em__jargs none = {0};
    em__jvalue text;
    EM__TRY(em__j_str(run, self, &text));
    return em__j_call_builtin(run, em__j_find(em__j_string_methods, method, 7), text, &none, out);
}

TEST(is_lower)
{
    (void)arg, (void)all;
    return is_cased(run, self, "islower", out);
}

TEST(is_upper)
{
    (void)arg, (void)all;
    return is_cased(run, self, "isupper", out);
}

TEST(is_filter)
{
    (void)run, (void)arg, (void)all;
    *out = em__j_bool(self.kind == J_STRING && em__j_filter(self.string->bytes, self.string->length));
    return EM_OK;
}

TEST(is_test)
{
    (void)run, (void)arg, (void)all;
    *out = em__j_bool(self.kind == J_STRING && em__j_test(self.string->bytes, self.string->length));
    return EM_OK;
}

static const em__jbuiltin tests[] = {
    {"defined", "", is_defined},    {"undefined", "", is_undefined},
    {"none", "", is_none},          {"boolean", "", is_boolean},
    {"true", "", is_true},          {"false", "", is_false},
    {"integer", "", is_integer},    {"float", "", is_float},
    {"number", "", is_number},      {"string", "", is_string},
    {"mapping", "", is_mapping},    {"sequence", "", is_sequence},
    {"iterable", "", is_iterable},  {"callable", "", is_callable},
    {"escaped", "", is_escaped},    {"odd", "", is_odd},
    {"even", "", is_even},          {"divisibleby", "num", is_divisibleby},
    {"eq", "other", is_eq},         {"equalto", "other", is_eq},
    {"==", "other", is_eq},         {"ne", "other", is_ne},
    {"!=", "other", is_ne},         {"lt", "other", is_lt},
    {"lessthan", "other", is_lt},   {"<", "other", is_lt},
    {"le", "other", is_le},         {"<=", "other", is_le},
    {"gt", "other", is_gt},         {"greaterthan", "other", is_gt},
    {">", "other", is_gt},          {"ge", "other", is_ge},
    {">=", "other", is_ge},         {"in", "seq", is_in},
    {"sameas", "other", is_sameas}, {"lower", "", is_lower},
    {"upper", "", is_upper},        {"filter", "", is_filter},
    {"test", "", is_test},          {NULL, NULL, NULL},
};

const em__jbuiltin *em__j_test(const char *name, size_t length)
{
    return em__j_find(tests, name, length);
}
