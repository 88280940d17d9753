/* Order at level portable. */
#define WIDTH 16
#define FILL em__order_fill_portable
#include "device/cpu/order_level_tmpl.c"
