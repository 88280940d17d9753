/* A thread of the plugin's own, which takes no signal: those are for threads that the program knows. */
#ifndef EM_DEVICE_CUDA_THREAD_H
#define EM_DEVICE_CUDA_THREAD_H

#include <pthread.h>
#include <signal.h>

/* Runs on by itself; false where it could not be started. */
static inline bool em__cuda_thread(void *(*run)(void *), void *data)
{
    sigset_t all, before;
    pthread_t thread;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const bool started = pthread_create(&thread, NULL, run, data) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (started)
        pthread_detach(thread);
    return started;
}

#endif
