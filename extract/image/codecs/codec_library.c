#include "extract/image/codecs/codec_library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#include "common/base/printable.h"

/* One library is opened at a time. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* The dynamic loader begins with the file that is missing, which may be one that the library itself
 * needs. */
static bool is_not_installed(const PfCodecLibrary *library, const char *reason)
{
    return !strncmp(reason, library->file, strlen(library->file)) &&
           strstr(reason, "No such file or directory");
}

static void note_missing(PfCodecLibrary *library, const char *reason)
{
    library->state = PF_CODEC_MISSING;
    if (is_not_installed(library, reason))
        pf_format(library->reason, sizeof library->reason, "which is not installed");
    else
        pf_format(library->reason, sizeof library->reason, "which cannot be opened (%s)", reason);
}

/* Where a function is missing none is taken. */
static bool find_functions(const PfCodecLibrary *library, void *opened)
{
    uint8_t *out = library->functions;
    for (const char *const *name = library->names; *name; name++, out += sizeof(void *)) {
        void *function = dlsym(opened, *name);
        if (!function) return false;
        memcpy(out, &function, sizeof function);
    }
    return true;
}

static void try_to_open(PfCodecLibrary *library)
{
    void *opened = dlopen(library->file, RTLD_NOW | RTLD_LOCAL);
    if (opened && find_functions(library, opened)) {
        library->state = PF_CODEC_THERE;
        return;
    }
    const char *reason = dlerror();
    note_missing(library, reason ? reason : "a function is missing");
    if (opened) dlclose(opened);
}

int pf_codec_library_open(PfCodecLibrary *library, PfError *err)
{
    pthread_mutex_lock(&lock);
    if (library->state == PF_CODEC_UNTRIED) try_to_open(library);
    bool is_there = library->state == PF_CODEC_THERE;
    pthread_mutex_unlock(&lock);
    if (is_there) return 0;
    return pf_image_bad(err, "%s needs %s, %" PF_SENTENCE ". Hint: apt install %s", library->format,
                        library->file, library->reason, library->package);
}

int pf_codec_left_out(const char *format, const char *package, PfError *err)
{
    return pf_image_bad(err,
                        "%s is not supported by this build, which was made without %s. Hint: "
                        "install it and build again, or convert the file to PNG or JPEG.",
                        format, package);
}
