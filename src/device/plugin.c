/* See plugin.h. A plugin that was opened stays open: its devices live as long as the process. */
#include "device/plugin.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"
#include "core/block.h"
#include "core/error.h"

enum { MOST_DEVICES = 16, PATH_SIZE = 4096 };

typedef struct plugin {
    const char *name;
    bool opened;
    em__plugin_device_fn device;
    char reason[512];
} plugin;

static plugin plugins[] = {{.name = "cuda"}};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void fail(em_status status, const char *text)
{
    em__fail(status, "%s", text);
}

static const em__plugin_host *host(void)
{
    static em__plugin_host services = {.version = EM__DEVICE_VERSION,
                                       .fail = fail,
                                       .last_status = em_last_status,
                                       .block_alloc = em__block_alloc,
                                       .block_free = em__block_free,
                                       .calloc = em__calloc,
                                       .free = em__free};
    if (!services.cpu)
        services.cpu = em__cpu_device();
    return services.cpu ? &services : NULL;
}

/* Opens DIR/libemily_NAME.so, if it is there; one that does not load is `broken`, and the reason says why. */
static void *open_in(plugin *p, const char *dir, bool *broken)
{
    char path[PATH_SIZE];
    int length = snprintf(path, sizeof path, "%s%slibemily_%s.so", dir, *dir ? "/" : "", p->name);
    void *object = length < (int)sizeof path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!object && length < (int)sizeof path) {
        FILE *file = *dir ? fopen(path, "rb") : NULL;
        if (file) {
            const char *why = dlerror();
            snprintf(p->reason, sizeof p->reason, "%s; install the plugin that was built with libemily",
                     why ? why : "the plugin does not load");
            fclose(file);
            *broken = true;
        }
    }
    return object;
}

/* The folder of the object that this code is in, with `below` behind it. */
static bool beside(const char *below, char *dir)
{
    Dl_info info;
    if (!dladdr((void *)(uintptr_t)em__plugin_device, &info) || !info.dli_fname)
        return false;
    char real[PATH_MAX];
    /* of a program that was started without a path dli_fname is its name alone */
    bool found = realpath(info.dli_fname, real) || realpath("/proc/self/exe", real);
    char *slash = found ? strrchr(real, '/') : NULL;
    int length = slash ? snprintf(dir, PATH_SIZE, "%.*s%s", (int)(slash - real), real, below) : PATH_SIZE;
    return length < PATH_SIZE;
}

/* EMILY_PLUGIN_PATH; beside libemily or the program, and in the folders where installing puts it; the system's. */
static void *find(plugin *p)
{
    static const char *const places[] = {"", "/emily", "/../lib/emily", "/../lib"};
    const char *given = getenv("EMILY_PLUGIN_PATH");
    char dir[PATH_SIZE];
    bool broken = false; /* one that is there and does not load is what there is to say: no other takes its place */
    void *object = given && *given ? open_in(p, given, &broken) : NULL;
    for (size_t i = 0; !object && !broken && i < sizeof places / sizeof *places; i++)
        if (beside(places[i], dir))
            object = open_in(p, dir, &broken);
    return object || broken ? object : open_in(p, "", &broken);
}

/* Who asks why knows of which plugin: its name in front of the text goes. */
static const char *without_name(const plugin *p, const char *text)
{
    size_t length = strlen(p->name);
    return strncmp(text, p->name, length) == 0 && strncmp(text + length, ": ", 2) == 0 ? text + length + 2 : text;
}

static void open_locked(plugin *p)
{
    p->opened = true;
    snprintf(p->reason, sizeof p->reason,
             "the plugin libemily_%s.so was not found; `make cuda` builds it, or set EMILY_PLUGIN_PATH to its folder",
             p->name);
    void *object = find(p);
    void *symbol = object ? dlsym(object, EM__PLUGIN_SYMBOL) : NULL;
    if (object && !symbol)
        snprintf(p->reason, sizeof p->reason,
                 "libemily_%s.so is no plugin of Emily; install the plugin that was built with libemily", p->name);
    memcpy(&p->device, &symbol, sizeof symbol); /* ISO C has no cast from an object to a function */
}

/* Device `index` alone: the others are not woken, on which the process would take memory. */
static em_device *ask(plugin *p, size_t index)
{
    em_device *device = host() ? p->device(host(), index) : NULL;
    snprintf(p->reason, sizeof p->reason, "%s", device ? "" : without_name(p, em_last_error()));
    return device;
}

static plugin *find_plugin(const char *name)
{
    for (size_t i = 0; i < sizeof plugins / sizeof *plugins; i++)
        if (strcmp(plugins[i].name, name) == 0)
            return &plugins[i];
    return NULL;
}

em_device *em__plugin_device(const char *name, size_t index)
{
    plugin *p = find_plugin(name);
    em_device *device = NULL;
    if (!p || index >= MOST_DEVICES) {
        em__fail(EM_ERROR_NOT_FOUND, "%s: no more than %d devices are told apart", name, MOST_DEVICES);
        return NULL;
    }
    pthread_mutex_lock(&lock);
    if (!p->opened)
        open_locked(p);
    if (p->device)
        device = ask(p, index);
    if (!device)
        em__fail(EM_ERROR_NOT_FOUND, "%s", p->reason);
    pthread_mutex_unlock(&lock);
    return device;
}

const char *em__plugin_reason(const char *name)
{
    if (!find_plugin(name))
        return "there is no such plugin";
    return em__plugin_device(name, 0) ? "" : em_last_error();
}
