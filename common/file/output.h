/* Outputs: where each goes, and what a command must not write over: its own inputs, another of its
 * outputs, and files that are plainly something else than what it would put there. */
#ifndef PF_COMMON_FILE_OUTPUT_H
#define PF_COMMON_FILE_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "permafrost/error.h"

/* ---- where it goes: links are followed once, by us, and what is there is looked at ---- */

typedef enum PfOutputKind {
    PF_OUTPUT_NEW,    /* nothing is there */
    PF_OUTPUT_FILE,   /* a regular file, which can be replaced */
    PF_OUTPUT_STREAM, /* a pipe or a character device, which is written to as it is */
} PfOutputKind;

typedef struct PfOutputPath {
    char *path;       /* owned: where the links lead, or the path itself */
    const char *name; /* in path: its last part */
    int folder;       /* owned: descriptor of the folder that has the name, opened with O_PATH */
    int descriptor;   /* that /dev/stdout, /dev/fd/N and the like stand for; else -1 */
    PfOutputKind kind;
    struct stat status; /* of what is there, unless kind is PF_OUTPUT_NEW */
} PfOutputPath;

/* A folder, a block device and a socket are refused, and so is a link of another user in a folder
 * that everyone can write to (as the system itself does where fs.protected_symlinks is set). What
 * this has filled is given to pf_output_path_free, on failure too. */
int pf_output_path_find(const char *path, PfOutputPath *out, PfError *err);
void pf_output_path_free(PfOutputPath *path);

/* Whether `found`, whose folder is `folder`, belongs to somebody else who could put it there
 * because everyone can write to that folder, as to /tmp. */
bool pf_output_is_strangers(const struct stat *folder, const struct stat *found);

/* "a directory", "a pipe", ...: what is no regular file. */
const char *pf_output_type_name(mode_t mode);

/* Whether both would be the same file: by what is there, or by the folder and the name. Paths that
 * cannot be written are never the same, and neither are pipes and devices. */
bool pf_output_is_same(const char *path, const char *other);

/* ---- what may be written over ---- */

/* What may be replaced; beside it always: nothing, an empty file, pipes and devices. */
typedef enum PfContent {
    PF_CONTENT_ANY,
    PF_CONTENT_MODEL,       /* a model that train wrote */
    PF_CONTENT_JSON,        /* a result or a summary of ours */
    PF_CONTENT_LIST,        /* a list that extract --list wrote */
    PF_CONTENT_CSV,         /* results that train wrote */
    PF_CONTENT_PREDICTIONS, /* predictions that train wrote */
    PF_CONTENT_PAGE,        /* a page of ours */
    PF_CONTENT_STATE_DICT,  /* what predict --export wrote: .safetensors, */
    PF_CONTENT_ONNX,        /* .onnx, */
    PF_CONTENT_TORCHSCRIPT, /* .pt */
    PF_CONTENT_ROWS,        /* what predict wrote as CSV, */
    PF_CONTENT_ROWS_JSON,   /* as JSON */
    PF_CONTENT_TABLE,       /* what inspect --export wrote: rows.csv, */
    PF_CONTENT_PARQUET,     /* rows.parquet; */
    PF_CONTENT_NPY,         /* arrays of NumPy, */
    PF_CONTENT_FVECS,       /* .fvecs, which do not tell who wrote them */
} PfContent;

/* Some of them begin alike, so that what is looked for is what our programs put into each. */
typedef struct PfOutput {
    const char *option; /* "--json": for messages */
    const char *path;   /* NULL, or "-": no file, and nothing is checked */
    PfContent content;
} PfOutput;

/* PF_EXIT_USAGE where two outputs are the same file: by whatever names and links. */
int pf_output_check_distinct(const PfOutput *outputs, int count, PfError *err);
/* PF_EXIT_USAGE where the output is the file `input` (NULL: none), which is `what`. */
int pf_output_check_input(const PfOutput *output, const char *input, const char *what,
                          PfError *err);
/* PF_EXIT_FAILED where something else is there, with the words for it. */
int pf_output_check_content(const PfOutput *output, PfError *err);

/* PF_EXIT_USAGE where the path's suffix says another kind of file than the program writes: one of
 * those that are known, in small or capital letters, and none of written[]. Paths without a suffix,
 * or with one of the user's own (".v2"), are as good as any. hint: a sentence, or "". */
int pf_output_check_suffix(const char *option, const char *path, const char *const *written,
                           size_t count, const char *hint, PfError *err);
/* Whether path ends in suffix, in small or capital letters, and has a name before it. */
bool pf_output_has_suffix(const char *path, const char *suffix);

/* --json FILE: PF_EXIT_USAGE where value is a folder, or a file that is there and no JSON, such as
 * an image or a model that a flag without a value used to stand before. */
int pf_output_check_json_value(const char *value, PfError *err);

/* PF_EXIT_USAGE where two of the outputs are "-": standard output takes one. */
int pf_output_check_streams(const PfOutput *outputs, int count, PfError *err);
/* Whether a pipe or a device is there, or what standard output is. */
bool pf_output_is_stream(const char *path);
/* Whether one of them is "-", or leads to where standard output does. */
bool pf_output_takes_stdout(const PfOutput *outputs, int count);

/* The first three of them and pf_output_check_streams, for each output against each of inputs[i],
 * which is whats[i]. */
int pf_output_check_all(const PfOutput *outputs, int count, const char *const *inputs,
                        const char *const *whats, int input_count, PfError *err);

#endif
