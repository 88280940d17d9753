/* See rope.h. Frequencies are computed in double and rounded once. */
#include "models/decoder/rope.h"

#include <math.h>
#include <string.h>

#include "core/error.h"

#define TURN 6.283185307179586

static const struct {
    const char *name;
    em__rope_kind kind;
} kinds[] = {{"default", EM__ROPE_DEFAULT},
             {"linear", EM__ROPE_LINEAR},
             {"dynamic", EM__ROPE_DYNAMIC},
             {"llama3", EM__ROPE_LLAMA3},
             {"yarn", EM__ROPE_YARN}};

static em_status read_kind(const em__json *at, em__rope_kind *kind)
{
    const char *name = "default";
    char shown[64];
    EM__TRY(em__json_opt_string(at, "type", &name));
    EM__TRY(em__json_opt_string(at, "rope_type", &name));
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].name, name) == 0) {
            *kind = kinds[i].kind;
            return EM_OK;
        }
    return em__json_fail(at, EM_ERROR_UNSUPPORTED,
                         "rope type %s is not supported; supported: default, linear, dynamic, llama3, yarn",
                         em__printable(shown, sizeof shown, name));
}

static double stretch(double factor, double scale)
{
    return factor <= 1 ? 1 : 0.1 * scale * log(factor) + 1;
}

static em_status read_yarn(const em__json *at, em__rope *rope)
{
    double scale = 0, all = 0;
    rope->low = 1;
    rope->high = 32;
    rope->truncate = true;
    EM__TRY(em__json_opt_real(at, "beta_slow", 0, 1e6, &rope->low));
    EM__TRY(em__json_opt_real(at, "beta_fast", 0, 1e6, &rope->high));
    rope->low = rope->low == 0 ? 1 : rope->low;
    rope->high = rope->high == 0 ? 32 : rope->high;
    EM__TRY(em__json_opt_bool(at, "truncate", &rope->truncate));
    EM__TRY(em__json_opt_real(at, "mscale", 0, 1e6, &scale));
    EM__TRY(em__json_opt_real(at, "mscale_all_dim", 0, 1e6, &all));
    rope->attention =
        scale != 0 && all != 0 ? stretch(rope->factor, scale) / stretch(rope->factor, all) : stretch(rope->factor, 1);
    return em__json_opt_real(at, "attention_factor", 1e-6, 1e6, &rope->attention);
}

/* What belongs to the kind, of the object that holds it. */
static em_status read_scaling(const em__json *at, em__rope *rope)
{
    rope->factor = rope->attention = 1; /* of two places that speak of it the second counts alone */
    rope->original = (double)rope->positions;
    EM__TRY(read_kind(at, &rope->kind));
    if (rope->kind == EM__ROPE_DEFAULT)
        return EM_OK;
    if (em__json_has(at, "factor") || rope->kind != EM__ROPE_YARN)
        EM__TRY(em__json_get_real(at, "factor", 1e-6, 1e9, &rope->factor));
    EM__TRY(em__json_opt_real(at, "original_max_position_embeddings", 1, 1e12, &rope->original));
    if (rope->kind == EM__ROPE_YARN) {
        if (!em__json_has(at, "factor"))
            rope->factor = (double)rope->positions / rope->original;
        return read_yarn(at, rope);
    }
    if (rope->kind != EM__ROPE_LLAMA3)
        return EM_OK;
    EM__TRY(em__json_get_real(at, "low_freq_factor", 1e-6, 1e9, &rope->low));
    EM__TRY(em__json_get_real(at, "high_freq_factor", 1e-6, 1e9, &rope->high));
    return rope->high > rope->low
               ? EM_OK
               : em__json_fail(at, EM_ERROR_FORMAT, "high_freq_factor %g must be above low_freq_factor %g", rope->high,
                               rope->low);
}

/* Frequencies that follow the kind of a layer are those of families that are not here. */
static em_status refuse_layer_types(const em__json *parameters)
{
    const char *key;
    char shown[64];
    json_t *value;
    json_object_foreach(parameters->value, key, value)
    {
        if (json_is_object(value))
            return em__json_fail(parameters, EM_ERROR_UNSUPPORTED,
                                 "one rope for %s and maybe another for other layers is not supported; the families "
                                 "here have one for all layers",
                                 em__printable(shown, sizeof shown, key));
    }
    return EM_OK;
}

em_status em__rope_read(const em__json *root, double theta, int64_t head_dim, int64_t positions, em__rope *rope)
{
    em__json parameters, scaling;
    double part = 1;
    *rope = (em__rope){.theta = theta, .factor = 1, .attention = 1, .positions = positions};
    rope->original = (double)positions;
    EM__TRY(em__json_opt_object(root, "rope_parameters", &parameters));
    EM__TRY(em__json_opt_object(root, "rope_scaling", &scaling));
    EM__TRY(em__json_opt_real(root, "rope_theta", 1e-3, 1e30, &rope->theta));
    EM__TRY(em__json_opt_real(root, "partial_rotary_factor", 0, 1, &part));
    if (scaling.value)
        EM__TRY(read_scaling(&scaling, rope));
    if (parameters.value) {
        EM__TRY(refuse_layer_types(&parameters));
        EM__TRY(em__json_opt_real(&parameters, "rope_theta", 1e-3, 1e30, &rope->theta));
        EM__TRY(em__json_opt_real(&parameters, "partial_rotary_factor", 0, 1, &part));
        EM__TRY(read_scaling(&parameters, rope));
    }
    /* Of these families the plain rope turns whole heads, whatever is said of parts. */
    rope->dims = rope->kind == EM__ROPE_DEFAULT ? head_dim : (int64_t)((double)head_dim * part);
    if (rope->dims < 2 || rope->dims % 2 != 0)
        return em__json_fail(root, EM_ERROR_FORMAT, "%lld features of a head of %lld turn; it must be an even number",
                             (long long)rope->dims, (long long)head_dim);
    if (rope->theta <= 1 && rope->kind == EM__ROPE_YARN)
        return em__json_fail(root, EM_ERROR_FORMAT, "rope_theta is %g; yarn needs one above 1", rope->theta);
    if (rope->dims != head_dim && rope->attention != 1)
        return em__json_fail(root, EM_ERROR_UNSUPPORTED, "yarn on a part of a head is not supported");
    return EM_OK;
}

static double llama3(const em__rope *rope, double frequency)
{
    double wave = TURN / frequency;
    if (wave < rope->original / rope->high)
        return frequency;
    if (wave > rope->original / rope->low)
        return frequency / rope->factor;
    double smooth = (rope->original / wave - rope->low) / (rope->high - rope->low);
    return (1 - smooth) * frequency / rope->factor + smooth * frequency;
}

/* The pair that turns `rotations` times over the original positions. */
static double pair_of(const em__rope *rope, double rotations)
{
    return (double)rope->dims * log(rope->original / (rotations * TURN)) / (2 * log(rope->theta));
}

static double yarn(const em__rope *rope, double frequency, int64_t i)
{
    double low = pair_of(rope, rope->high), high = pair_of(rope, rope->low);
    if (rope->truncate) {
        low = floor(low);
        high = ceil(high);
    }
    low = fmax(low, 0);
    high = fmin(high, (double)(rope->dims - 1));
    high += low == high ? 0.001 : 0;
    double interpolated = fmin(fmax(((double)i - low) / (high - low), 0), 1);
    return frequency / rope->factor * interpolated + frequency * (1 - interpolated);
}

void em__rope_periods(const em__rope *rope, int64_t length, float *periods)
{
    double theta = rope->theta, dims = (double)rope->dims;
    if (rope->kind == EM__ROPE_DYNAMIC && length > rope->positions && dims > 2)
        theta *= pow(rope->factor * (double)length / (double)rope->positions - (rope->factor - 1), dims / (dims - 2));
    for (int64_t i = 0; i < rope->dims / 2; i++) {
        double frequency = pow(theta, -2 * (double)i / dims);
        switch (rope->kind) {
        case EM__ROPE_LINEAR: frequency /= rope->factor; break;
        case EM__ROPE_LLAMA3: frequency = llama3(rope, frequency); break;
        case EM__ROPE_YARN: frequency = yarn(rope, frequency, i); break;
        default: break;
        }
        periods[i] = (float)(1 / frequency);
    }
}
