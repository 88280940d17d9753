/*
 * What is known of the thread's last error beyond its status and text, for those who tell people of it.
 *
 * A text's next step stands behind the first "; " of its format: not behind one that a file's name or a value brought
 * along. A text that is passed on as it is ("%s") was somebody's before, and keeps its own.
 */
#ifndef EM_CORE_CAUSE_H
#define EM_CORE_CAUSE_H

#include <stdarg.h>
#include <stddef.h>

#include <emily/status.h>

typedef enum em__cause {
    EM__CAUSE_UNKNOWN,
    EM__CAUSE_JSON,     /* a JSON text is broken, or holds what it can't; its name begins the message */
    EM__CAUSE_NO_NUMBER /* a weight, or what was computed, is NaN or infinite */
} em__cause;

#define EM__MESSAGE_SIZE 1024

/* All of it. */
typedef struct em__error {
    em_status status;
    em__cause cause;
    size_t next; /* where the next step begins; 0: there is none */
    char text[EM__MESSAGE_SIZE];
} em__error;

/* The thread's last error, and the same put back: for a call that succeeds although something within it failed. */
em__error em__error_now(void);
void em__error_put_back(const em__error *before);

/* em__fail for those who have arguments of their own. */
em_status em__vfail(em_status status, const char *format, va_list args);

/* Says what the last error is about; returns `status`. The next em__fail forgets it, em__context does not. */
em_status em__because(em_status status, em__cause cause);
em__cause em__last_cause(void);

/* Where the next step begins in em_last_error(); NULL when it names none. */
const char *em__last_next(void);

#endif
