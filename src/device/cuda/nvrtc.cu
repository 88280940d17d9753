/*
 * NVRTC: CUDA source to machine code, kept on disk in $XDG_CACHE_HOME/emily/cuda (else ~/.cache/emily/cuda). A file is
 * named by the hash of source, architecture and version of NVRTC, and begins with the hash of what follows; one that
 * does not hold up, or can't be written, is as if it were not there.
 */
#include <nvrtc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <mutex>

#include "device/cuda/chain.h"
#include "device/cuda/library.h"

static struct {
    decltype(&nvrtcVersion) version;
    decltype(&nvrtcCreateProgram) create;
    decltype(&nvrtcCompileProgram) compile;
    decltype(&nvrtcGetCUBINSize) size;
    decltype(&nvrtcGetCUBIN) cubin;
    decltype(&nvrtcDestroyProgram) destroy;
} lib;

bool em_nvrtc_there(void)
{
    static std::once_flag once;
    static bool there;
    std::call_once(once, [] {
        const em__cuda_symbol symbols[] = {
            {"nvrtcVersion", (void **)&lib.version},        {"nvrtcCreateProgram", (void **)&lib.create},
            {"nvrtcCompileProgram", (void **)&lib.compile}, {"nvrtcGetCUBINSize", (void **)&lib.size},
            {"nvrtcGetCUBIN", (void **)&lib.cubin},         {"nvrtcDestroyProgram", (void **)&lib.destroy},
        };
        there = em__cuda_library("libnvrtc.so.13", symbols, sizeof symbols / sizeof symbols[0]);
    });
    return there;
}

/* FNV-1a over 128 bits, as text. */
std::string em_nvrtc_hash(const std::string &text)
{
    const unsigned __int128 prime = ((unsigned __int128)1 << 88) + 0x13b;
    unsigned __int128 hash = ((unsigned __int128)0x6c62272e07bb0142ull << 64) + 0x62b821756295c58dull;
    char out[33];
    for (unsigned char c : text)
        hash = (hash ^ c) * prime;
    snprintf(out, sizeof out, "%016llx%016llx", (unsigned long long)(hash >> 64), (unsigned long long)hash);
    return out;
}

/* The folder, made where it is not; "" when there can be none. */
static std::string cache_folder(void)
{
    const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if ((!base || base[0] != '/') && (!home || home[0] != '/'))
        return "";
    std::string folder = base && base[0] == '/' ? base : std::string(home) + "/.cache";
    mkdir(folder.c_str(), 0700);
    folder += "/emily";
    mkdir(folder.c_str(), 0755);
    folder += "/cuda";
    mkdir(folder.c_str(), 0755);
    return folder;
}

static std::string read_cached(const std::string &path)
{
    std::string text;
    char part[65536];
    FILE *file = fopen(path.c_str(), "rb");
    if (!file)
        return "";
    for (size_t n; (n = fread(part, 1, sizeof part, file)) > 0;)
        text.append(part, n);
    fclose(file);
    if (text.size() < 32)
        return "";
    std::string code = text.substr(32);
    return text.compare(0, 32, em_nvrtc_hash(code)) == 0 ? code : "";
}

static void write_cached(const std::string &path, const std::string &code)
{
    std::string fresh = path + "." + std::to_string((long)getpid());
    FILE *file = fopen(fresh.c_str(), "wb");
    if (!file)
        return;
    bool whole = fwrite(em_nvrtc_hash(code).data(), 1, 32, file) == 32 &&
                 fwrite(code.data(), 1, code.size(), file) == code.size();
    whole = fclose(file) == 0 && whole;
    if (!whole || rename(fresh.c_str(), path.c_str()) != 0)
        unlink(fresh.c_str());
}

static std::string compile(const std::string &source, const char *arch)
{
    const char *options[] = {arch, "--std=c++17", "--fmad=false"};
    nvrtcProgram program = NULL;
    size_t size = 0;
    std::string code;
    if (lib.create(&program, source.c_str(), "chain.cu", 0, NULL, NULL) != NVRTC_SUCCESS)
        return "";
    if (lib.compile(program, 3, options) == NVRTC_SUCCESS && lib.size(program, &size) == NVRTC_SUCCESS) {
        code.resize(size);
        if (lib.cubin(program, &code[0]) != NVRTC_SUCCESS)
            code.clear();
    }
    lib.destroy(&program);
    return code;
}

std::string em_nvrtc_compile(const em__cuda *cuda, const std::string &source)
{
    char arch[48], version[48];
    int major = 0, minor = 0, chip = cuda->major; /* which may be held down to what the plugin has code for */
    lib.version(&major, &minor);
    if (cudaDeviceGetAttribute(&chip, cudaDevAttrComputeCapabilityMajor, cuda->ordinal) != cudaSuccess)
        cudaGetLastError();
    snprintf(arch, sizeof arch, "--gpu-architecture=sm_%d%d", chip, cuda->minor);
    snprintf(version, sizeof version, " %d.%d", major, minor);
    std::string folder = cache_folder(), path = folder + "/" + em_nvrtc_hash(source + arch + version) + ".cubin";
    std::string code = folder.empty() ? "" : read_cached(path);
    if (!code.empty())
        return code;
    code = compile(source, arch);
    if (!code.empty() && !folder.empty())
        write_cached(path, code);
    return code;
}
