/* The command line of extract. */
#ifndef PF_EXTRACT_OPTIONS_H
#define PF_EXTRACT_OPTIONS_H

#include <stdbool.h>

#include "common/manual/manual.h"
#include "extract/backbone/plan.h"
#include "extract/dataset/dataset.h"
#include "extract/like.h"
#include "permafrost/feature_cache.h"

typedef enum PfExtractMode {
    PF_EXTRACT_RUN,
    PF_EXTRACT_SUMMARY,   /* --summary */
    PF_EXTRACT_BACKBONES, /* --backbones */
    PF_EXTRACT_INFO,      /* --info */
    PF_EXTRACT_MERGE,     /* --merge */
    PF_EXTRACT_MISSING,   /* --missing */
    PF_EXTRACT_LIST,      /* --list */
    PF_EXTRACT_VERIFY,    /* --verify */
    PF_EXTRACT_FETCH,     /* --fetch without an output */
} PfExtractMode;

/* --max-bad: a number of images, or a share of the dataset. */
typedef struct PfBadLimit {
    double value;
    bool is_percent;
    bool is_default;
} PfBadLimit;

/* Who numbers the shard of --shard. */
typedef enum PfShardSource {
    PF_SHARD_TYPED, /* K/N, or none */
    PF_SHARD_AUTO,  /* auto/N: the batch system; dataset.shard is {0, N} */
    PF_SHARD_ANY,   /* any/N: whichever is left; dataset.shard is {0, N} */
} PfShardSource;

typedef struct PfExtractOptions {
    PfExtractMode mode;          /* this and what follows from it, by pf_options_check() */
    const char *const *operands; /* operand_count of them, lent */
    int operand_count;
    const char *operand;          /* DATASET, or the cache for --info and --verify, or PATTERN */
    const char *verified_dataset; /* --verify DATASET CACHE; else NULL */
    int recompute_all;            /* every row of it, not a sample */
    const char *output;
    int argc; /* the command line; lent */
    char **argv;
    const char *like;          /* --like: the cache whose options these are, too; NULL: none */
    PfLikeCommand expanded;    /* the command line with them; owned */
    const char *backbone_from; /* the cache that has named the network; NULL: the command line has,
                                  or nobody */
    char *taps;                /* of every --tap, as one list; owned */
    const char *shard_text;    /* of --shard; NULL: not given */
    const char *contact_sheet; /* --contact-sheet: a page; NULL: none */
    int augmented;             /* --augmented: it shows views */
    const char *json;          /* --json; "-": standard output */
    const char *const *inputs; /* --merge: input_count caches; --fetch: networks */
    int input_count;
    PfBackboneOptions backbone;
    PfShardSource shard_source;
    int64_t shard_base; /* --shard-base; PF_SHARD_BASE_OF_SCHEDULER: not given */
    const struct PfScheduledShard *scheduled; /* auto/N, once it is known; else NULL */
    PfDatasetOptions dataset;                 /* what the command line asks of it */
    const char *targets[PF_TARGETS_MAX];      /* --target, each as it was given: dataset.targets */
    bool splits_given[PF_SPLIT_COUNT];        /* which fractions --split has named */
    PfCompression compression;
    int level; /* 0 = the compressor's default here */
    bool has_compression;
    int batch;   /* 0 = what the device is fastest with */
    int threads; /* of everything; 0 = as many as there are processors for it */
    int workers; /* 0 = as many as threads */
    int readers; /* files read ahead at once */
    PfBadLimit max_bad;
    long long max_bytes;  /* of a file; 0 = PF_FILE_BYTES_MAX */
    long long max_pixels; /* of an image; 0 = the usual limits, see image.h */
    double sync_seconds;  /* work is made safe at least so often */
    int sync_mb;          /* and after so many MB of features */
    int force, dry_run;
    const char *signature, *sources_from;
    int summary_input, summary_classes;
    const char *trust; /* TorchScript file to note as trusted, instead of all else; or NULL */
    int fetch; /* what is missing is fetched; as a mode of its own there are networks to fetch */
    int summary, backbones, info, merge, is_virtual, missing, list, verify, help, version, quiet,
        verbose;
} PfExtractOptions;

/* Parses the command line, and after it that of --like; what contradicts itself is refused by
 * pf_options_check() of options_check.h. The options refer to themselves: they are not to be
 * copied. Free with pf_extract_options_free, on failure too. */
int pf_extract_options_parse(int argc, char **argv, PfExtractOptions *options, PfError *err);
void pf_extract_options_free(PfExtractOptions *options);
void pf_extract_options_help(void);
/* The same for man and for shells. */
extern const PfManual pf_extract_manual;

/* The command line's options that have an effect on the rows, as pf_options_words() has them, those
 * of --like before them. Of --shard auto/N and any/N it is the shard that was taken, K/N. */
cJSON *pf_extract_options_words(const PfExtractOptions *options);

/* Bad images allowed of `total`. The default is 5 %, but never less than 5. */
int64_t pf_extract_options_bad_limit(const PfBadLimit *limit, int64_t total);

#endif
