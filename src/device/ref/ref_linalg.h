/* Linear algebra of the ref device, between its files. Matrices are column-major, of em__complex. */
#ifndef EM_DEVICE_REF_REF_LINALG_H
#define EM_DEVICE_REF_REF_LINALG_H

#include "device/linalg.h"
#include "device/linalg_move.h"

typedef double _Complex em__complex;

int em__ref_eigh(const em__linalg *job, em__matrix *in, em__matrix *out, em__workspace *workspace);
int em__ref_svd(const em__linalg *job, em__matrix *in, em__matrix *out, em__workspace *workspace);

#endif
