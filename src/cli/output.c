/* Standard output, and files that appear whole or not at all. */
#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/signals.h"

enum { BUFFER = 1 << 16 };

static int open_directly(cli_output *out, const char *path)
{
    out->file = fopen(path, "wbe");
    return out->file ? CLI_OK : cli_fail_errno(path);
}

/* The stream has a descriptor of its own, so that it may be closed before the writer gives the file its name. */
static int open_beside(cli_output *out, const char *path)
{
    if (em__writer_begin(&out->writer, path) != EM_OK)
        return cli_fail_last();
    if (!cli_signals_unfinished(out->writer.temporary))
        return cli_fail_errno(path);
    const int fd = fcntl(out->writer.fd, F_DUPFD_CLOEXEC, 0);
    out->file = fd < 0 ? NULL : fdopen(fd, "wb");
    if (out->file)
        return CLI_OK;
    const int code = cli_fail_errno(path);
    if (fd >= 0)
        close(fd);
    return code;
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
    const bool exists = stat(path, &info) == 0;
    if (!*path || (exists && S_ISDIR(info.st_mode))) {
        errno = *path ? EISDIR : ENOENT;
        return cli_fail_errno(path);
    }
    int code = exists && !S_ISREG(info.st_mode) ? open_directly(out, path) : open_beside(out, path);
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

static int close_file(cli_output *out)
{
    const int failed = out->file && out->file != stdout ? fclose(out->file) : 0;
    out->file = NULL;
    return failed == 0 ? CLI_OK : cli_fail_errno(out->name);
}

int cli_output_finish(cli_output *out)
{
    int code = cli_output_flush(out);
    if (code == CLI_OK)
        code = close_file(out);
    if (code == CLI_OK && out->writer.temporary) {
        code = em__writer_commit(&out->writer) == EM_OK ? CLI_OK : cli_fail_last();
        cli_signals_unfinished(NULL);
    }
    cli_output_abandon(out);
    return code;
}

void cli_output_abandon(cli_output *out)
{
    if (out->file && out->file != stdout)
        fclose(out->file);
    if (out->writer.temporary) {
        em__writer_abort(&out->writer);
        cli_signals_unfinished(NULL);
    }
    *out = (cli_output){0};
}
