/* Tasks: what they run, what they hold, how they end; and the lists they wait in. */
#include <stdio.h>

#include "core/alloc.h"
#include "core/error.h"
#include "graph/program.h"
#include "stream/stream.h"

#define ERROR_TEXT 1024

void em__task_list_init(em__task_list *list)
{
    list->first = NULL;
    list->end = &list->first;
}

void em__task_append(em__task_list *list, em__task *task)
{
    task->next = NULL;
    *list->end = task;
    list->end = &task->next;
}

static em__task *unlink_at(em__task_list *list, em__task **at)
{
    em__task *task = *at;
    *at = task->next;
    if (list->end == &task->next)
        list->end = at;
    return task;
}

em__task *em__task_pop(em__task_list *list)
{
    return list->first ? unlink_at(list, &list->first) : NULL;
}

em__task *em__task_take(em__task_list *list, em_ticket ticket)
{
    for (em__task **at = &list->first; *at; at = &(*at)->next)
        if ((*at)->ticket == ticket)
            return unlink_at(list, at);
    return NULL;
}

void em__task_free(em__task *task)
{
    for (size_t i = 0; i < task->n; i++)
        em_array_release(&task->arrays[i]);
    em_program_free(task->program);
    em__free(task);
}

static em_status run(em__task *task)
{
    if (task->fn)
        return task->fn(task->user);
    if (task->program)
        return em_run(task->program, task->arrays, task->outputs);
    for (size_t i = 0; i < task->n; i++)
        EM__TRY(em_array_eval(task->arrays[i]));
    return EM_OK;
}

/* The text that belongs to the status: the thread's last error, unless a user's function gave a status of its own. */
static const char *text_of(em_status status)
{
    if (status == EM_OK)
        return "";
    return em_last_status() == status && *em_last_error() ? em_last_error() : em_status_text(status);
}

void em__task_complete(em__task *task, em_status status)
{
    char text[ERROR_TEXT];
    em_clear_error();
    if (status == EM_OK)
        status = run(task);
    else if (task->program)
        for (size_t i = 0; i < task->program->n_outputs; i++)
            task->outputs[i] = NULL;
    snprintf(text, sizeof text, "%s", text_of(status));
    em_done_fn done = task->done;
    void *user = task->user;
    em__task_free(task); /* first, so that whoever is called back finds nothing held any more */
    if (done)
        done(status, text, user);
}
