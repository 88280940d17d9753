/* Standard output, and files that appear whole or not at all. */
#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/signals.h"
#include "core/alloc.h"
#include "io/file.h"

enum { BUFFER = 1 << 16 };

static int open_directly(cli_output *out, const char *path)
{
    out->file = fopen(path, "wbe");
    return out->file ? CLI_OK : cli_fail_errno(path);
}

static int open_beside(cli_output *out, const char *path, mode_t mode)
{
    if (em__path_target(path, &out->path) == EM_OK)
        out->temporary = em__format("%s.%ld.part", out->path, (long)getpid());
    if (!out->temporary)
        return cli_fail_last();
    int fd = open(out->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0 || !cli_signals_unfinished(out->temporary))
        return cli_fail_errno(path);
    out->file = fdopen(fd, "w+b");
    if (!out->file) {
        close(fd);
        return cli_fail_errno(path);
    }
    return CLI_OK;
}

int cli_output_open(cli_output *out, const char *path)
{
    *out = (cli_output){.name = path};
    if (!path || strcmp(path, "-") == 0) {
        out->file = stdout;
        out->name = "standard output";
        return CLI_OK;
    }
    struct stat info;
    bool exists = stat(path, &info) == 0;
    if (exists && S_ISDIR(info.st_mode)) {
        errno = EISDIR;
        return cli_fail_errno(path);
    }
    if (exists && S_ISREG(info.st_mode) && access(path, W_OK) != 0)
        return cli_fail_errno(path);
    int code = exists && !S_ISREG(info.st_mode) ? open_directly(out, path)
                                                : open_beside(out, path, exists ? info.st_mode & 0777 : 0666);
    if (code != CLI_OK)
        cli_output_abandon(out);
    else
        setvbuf(out->file, NULL, _IOFBF, BUFFER);
    return code;
}

int cli_output_flush(cli_output *out)
{
    static bool told; /* of standard output: what could not be written is tried again at the end */
    if (!ferror(out->file) && fflush(out->file) == 0)
        return CLI_OK;
    clearerr(out->file);
    if (out->file == stdout && told)
        return CLI_FAILURE;
    told = told || out->file == stdout;
    return cli_fail(CLI_FAILURE, "cannot write %s: %s", out->name, strerror(errno ? errno : EIO));
}

int cli_output_finish(cli_output *out)
{
    int code = cli_output_flush(out);
    if (code == CLI_OK && out->temporary && rename(out->temporary, out->path) != 0)
        code = cli_fail_errno(out->name);
    if (code == CLI_OK && out->temporary) {
        cli_signals_unfinished(NULL);
        em__free(out->temporary);
        out->temporary = NULL;
    }
    cli_output_abandon(out);
    return code;
}

void cli_output_abandon(cli_output *out)
{
    if (out->file && out->file != stdout)
        fclose(out->file);
    if (out->temporary) {
        unlink(out->temporary);
        cli_signals_unfinished(NULL);
    }
    em__free(out->temporary);
    em__free(out->path);
    *out = (cli_output){0};
}
