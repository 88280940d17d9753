/* A render from values that stand already; between the calls `run->arena` is the caller's to fill. */
#ifndef EM_TEMPLATE_RENDER_H
#define EM_TEMPLATE_RENDER_H

#include "template/template.h"

/* `json_bytes` is the size of what the render is given: the limits grow with it. */
void em__j_run_init(em__jrun *run, const em_template *source, size_t json_bytes);
void em__j_run_free(em__jrun *run);

/* `context` is a dict; the text is as em_template_render gives it. */
em_status em__j_run(em__jrun *run, em__jvalue context, char **text, size_t *length);

#endif
