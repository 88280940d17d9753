/* What the layering test must catch: core reaching up to array. */
#include "array/array.h"
