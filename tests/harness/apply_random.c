/* Recorded cases of random numbers. The key is the first operand, or made of the attribute "seed". */
#include <emily/random.h>

#include "harness/apply.h"

static em_array *apply_key(em_scope *s, const book_case *c, em_array *const *in)
{
    (void)in;
    return em_random_key(s, (uint64_t)book_number(c, "seed", 0));
}

static em_array *apply_split(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_random_split(s, in[0], (int64_t)book_number(c, "n", 2));
}

static em_array *apply_split_at(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_random_split_at(s, in[0], (int64_t)book_number(c, "n", 2), (int64_t)book_number(c, "i", 0));
}

static em_array *apply_fold_in(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_random_fold_in(s, in[0], (uint32_t)book_number(c, "data", 0));
}

static em_array *apply_bits(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_random_bits(s, in[0], apply_dtype(c), apply_dims(c));
}

static em_array *apply_uniform(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_random_uniform(s, in[0], book_number(c, "low", 0), book_number(c, "high", 1), apply_dtype(c),
                             apply_dims(c));
}

static em_array *apply_normal(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_random_normal(s, in[0], apply_dtype(c), apply_dims(c));
}

static em_array *apply_randint(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_random_randint(s, in[0], (int64_t)book_number(c, "low", 0), (int64_t)book_number(c, "high", 0),
                             apply_dtype(c), apply_dims(c));
}

static em_array *apply_bernoulli(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_random_bernoulli(s, in[0], in[1], apply_dims(c));
}

static em_array *apply_gumbel(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_random_gumbel(s, in[0], apply_dtype(c), apply_dims(c));
}

static em_array *apply_categorical(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_random_categorical(s, in[0], in[1], (int)book_number(c, "axis", 0), (int64_t)book_number(c, "count", 0));
}

static em_array *apply_permutation(em_scope *s, const book_case *c, em_array *const *in)
{
    if (c->n_in == 1)
        return em_random_permutation_of(s, in[0], (int64_t)book_number(c, "n", 0));
    return em_random_permutation(s, in[0], in[1], (int)book_number(c, "axis", 0));
}

static em_array *apply_choice(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_random_choice(s, in[0], in[1], (int)book_number(c, "axis", 0), (int64_t)book_number(c, "count", 0),
                            book_number(c, "replace", 0) != 0);
}

const apply_row apply_random[] = {
    {"random_key", apply_key},
    {"random_split", apply_split},
    {"random_split_at", apply_split_at},
    {"random_fold_in", apply_fold_in},
    {"random_bits", apply_bits},
    {"random_uniform", apply_uniform},
    {"random_normal", apply_normal},
    {"random_randint", apply_randint},
    {"random_bernoulli", apply_bernoulli},
    {"random_gumbel", apply_gumbel},
    {"random_categorical", apply_categorical},
    {"random_permutation", apply_permutation},
    {"random_choice", apply_choice},
    {0},
};
