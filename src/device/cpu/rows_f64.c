/* Row kernels of f64: plain loops, the same at every level. */
#include <math.h>

#include "device/cpu/rows.h"

static double row_max(const double *x, size_t n)
{
    double largest = -(double)INFINITY;
    for (size_t i = 0; i < n; i++)
        largest = x[i] > largest ? x[i] : largest;
    return largest;
}

static double sum_exps(const double *x, size_t n, double shift)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++)
        sum += exp(x[i] - shift);
    return sum;
}

static void softmax(void *out, const void *in, size_t cols)
{
    const double *x = in;
    double *y = out, largest = row_max(x, cols), sum = sum_exps(x, cols, largest);
    for (size_t i = 0; i < cols; i++)
        y[i] = exp(x[i] - largest) / sum;
}

static void log_softmax(void *out, const void *in, size_t cols)
{
    const double *x = in;
    double *y = out, largest = row_max(x, cols), rest = log(sum_exps(x, cols, largest));
    for (size_t i = 0; i < cols; i++)
        y[i] = (x[i] - largest) - rest;
}

static void logsumexp(void *out, const void *in, size_t cols)
{
    double largest = row_max(in, cols), shift = isfinite(largest) ? largest : 0.0;
    double sum = sum_exps(in, cols, shift);
    *(double *)out = shift + log(sum);
}

static double load_h(const double *x, const double *residual, size_t i)
{
    return residual ? x[i] + residual[i] : x[i];
}

static double sum_squares(const double *x, const double *residual, size_t n, double mean)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        double d = load_h(x, residual, i) - mean;
        sum += d * d;
    }
    return sum;
}

static void affine(double *out, const double *x, const double *residual, const double *weight, const double *bias,
                   size_t n, double mean, double scale)
{
    for (size_t i = 0; i < n; i++) {
        double y = (load_h(x, residual, i) - mean) * scale;
        out[i] = y * (weight ? weight[i] : 1.0) + (bias ? bias[i] : 0.0);
    }
}

static void layer_norm(void *out, const void *x, const void *residual, const void *weight, const void *bias, double eps,
                       size_t cols)
{
    double mean = 0.0;
    for (size_t i = 0; i < cols; i++)
        mean += load_h(x, residual, i);
    mean /= (double)cols;
    double variance = sum_squares(x, residual, cols, mean) / (double)cols;
    affine(out, x, residual, weight, bias, cols, mean, 1.0 / sqrt(variance + eps));
}

static void rms_norm(void *out, const void *x, const void *residual, const void *weight, const void *bias, double eps,
                     size_t cols)
{
    double square = sum_squares(x, residual, cols, 0.0) / (double)cols;
    affine(out, x, residual, weight, bias, cols, 0.0, 1.0 / sqrt(square + eps));
}

static void l2_norm(void *out, const void *x, const void *residual, const void *weight, const void *bias, double eps,
                    size_t cols)
{
    double length = sqrt(sum_squares(x, residual, cols, 0.0));
    affine(out, x, residual, weight, bias, cols, 0.0, 1.0 / (length < eps ? eps : length));
}

void em__rows_fill_f64(em__rows *k)
{
    k->softmax[EM__SOFTMAX][EM_F64] = softmax;
    k->softmax[EM__LOG_SOFTMAX][EM_F64] = log_softmax;
    k->softmax[EM__LOGSUMEXP][EM_F64] = logsumexp;
    k->norm[EM__LAYER_NORM][EM_F64] = layer_norm;
    k->norm[EM__RMS_NORM][EM_F64] = rms_norm;
    k->norm[EM__L2_NORM][EM_F64] = l2_norm;
}
