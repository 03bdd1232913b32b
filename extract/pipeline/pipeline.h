/* From a dataset's files to features, in dataset order, in bounded memory.
 *
 *   readers           files, some ahead of decoding
 *   decode threads    file -> views x (crop, crop, 3) uint8; samples are handed out in order under
 *                     one lock
 *   forward threads   one for each device, the only caller of its backbone; batches are handed out
 *                     in order
 *   caller's thread   the sink, progress, signals
 *
 * Opening a pipeline starts the first two, so that images are decoded while the network is still
 * being loaded; running it brings the network and the rest.
 *
 * A fixed ring of batches circulates between them. Which samples form a batch
 * depends on their order alone, and so do the features: neither on the number
 * of threads nor on timing. Bad images leave their batch before the forward
 * pass; no row is made up for them. So do repeated ones, where that is asked for. */
#ifndef PF_EXTRACT_PIPELINE_PIPELINE_H
#define PF_EXTRACT_PIPELINE_PIPELINE_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/cache/image_file.h"
#include "extract/dataset/dataset.h"
#include "permafrost/backbone.h"

/* One good image of a batch. */
typedef struct PfPipelineRow {
    int64_t sample;      /* index in the dataset */
    PfImageFile file;    /* its size is that of the image as it was turned */
    bool is_truncated;   /* it ends early, and was taken as far as it goes */
    bool is_transparent; /* some of its pixels are less than opaque */
    bool is_rotated;     /* its EXIF orientation says that it lies on its side, or is mirrored */
} PfPipelineRow;

typedef struct PfPipeline PfPipeline;

/* Where finished batches go, called on the caller's thread in the order of the run. */
typedef struct PfPipelineSink {
    void *context;
    /* count rows; features[t]: (count, views, taps[t].shape) of the output dtype.
     * Everything is lent for the call. */
    int (*rows)(void *context, int count, const PfPipelineRow *rows, const void *const *features,
                PfError *err);
    /* A sample that could not be used, and why; its digest is zeros and its stamp
     * empty where it could not even be read. After its batch's rows. */
    int (*rejected)(void *context, const PfPipelineRow *row, const char *reason, PfError *err);
    /* A sample with the bytes of an earlier one, whose features came before. NULL
     * unless config->once. */
    int (*repeated)(void *context, const PfPipelineRow *row, PfError *err);
    /* After every batch: samples done so far, good and bad. May be NULL. */
    void (*progress)(void *context, int64_t done);
    /* A signal ended the run. All that was computed has been handed over, but for batches that are
     * still in a network: the process may be ended before those are there. May be NULL. */
    void (*interrupted)(void *context);
} PfPipelineSink;

/* What becomes pixels, and how. */
typedef struct PfPipelineConfig {
    const PfDataset *dataset;
    const int64_t *samples; /* (sample_count) which of the dataset, in this order; NULL = all */
    int64_t sample_count;
    bool once; /* images of equal bytes are decoded and computed once */
    const PfPreprocess *preprocess;
    int views;            /* of each image; 0 and 1: the centre crop alone */
    uint64_t view_seed;   /* of the drawn ones */
    int workers;          /* decode threads, at least 1 */
    int readers;          /* files read ahead, see sample_reader.h; 0: the decode threads read */
    int64_t largest_file; /* of the samples, in bytes; 0: not known */
    int64_t prefetch;     /* samples decoded at most before the network is there; 0: what fills
                               PF_PREFETCH_BYTES */
    int64_t max_pixels;   /* of an image, see image.h; 0: the usual limits */
    const volatile sig_atomic_t
        *interrupted; /* nonzero ends the run with PF_EXIT_INTERRUPTED; may be NULL */
} PfPipelineConfig;

/* Of pixels: 222 crops of 224 x 224, most of what a thread decodes in the time that libtorch loads.
 */
#define PF_PREFETCH_BYTES ((size_t)32 << 20)

/* What becomes of the pixels. */
typedef struct PfPipelineNetwork {
    const PfBackbonePlugin *plugin;
    PfBackbone *const *backbones; /* (backbone_count) one network, open on each of the devices */
    int backbone_count;           /* 1 to PF_DEVICES_MAX */
    PfDtype output_dtype;         /* PF_DTYPE_F16 or PF_DTYPE_F32, as the backbone was opened */
    int batch;                    /* images per forward pass */
    int depth;                    /* batches in the ring; 0 = as pf_pipeline_depth() says */
} PfPipelineNetwork;

typedef struct PfPipelineStats {
    int64_t images, rejected, repeated;
    int64_t rotated;             /* of the images: whether or not they were turned */
    int64_t truncated;           /* of the images: ended early, and were taken nevertheless */
    int64_t transparent;         /* of the images: have pixels that are less than opaque */
    int64_t prefetch;            /* samples that were decoded before the run, and... */
    double prefetch_seconds;     /* ...how long that took, summed over decode threads */
    double seconds;              /* of the run's wall time */
    double read_seconds;         /* of it in which decode threads waited for files, summed */
    double decode_seconds;       /* likewise, resize included */
    double decode_wait_seconds;  /* likewise, without room for another image */
    double forward_seconds;      /* in the backbone, summed over the devices */
    double forward_wait_seconds; /* likewise, without a decoded batch */
    double sink_seconds;         /* in the sink */

    /* How full the queues were: batches that lay ready whenever somebody came for one, that
     * one included, summed. Divided by the takes it is the mean, at most the depth. */
    int depth;                /* batches in the ring */
    int64_t forward_takes;    /* by forward threads... */
    int64_t decoded_waiting;  /* ...of decoded ones */
    int64_t sink_takes;       /* by the caller's thread... */
    int64_t computed_waiting; /* ...of ones with features */
} PfPipelineStats;

/* Images per second, good and bad, as if none had been decoded before the run; 0 without any. */
double pf_pipeline_rate(const PfPipelineStats *stats, int workers);

/* Batches of the ring: one is being decoded and one in the sink, and for each device there are
 * those that it takes at a time and one in reserve. */
int pf_pipeline_depth(const PfPipelineNetwork *network);

/* Bytes of the ring, of what is decoded before it, and of the files held where largest_file is
 * known. */
size_t pf_pipeline_memory(const PfPipelineConfig *config, const PfPipelineNetwork *network);

/* Starts reading and decoding, in one thread less than there may be: loading a network wants a
 * processor too. The config is copied, what it refers to is lent until close. */
int pf_pipeline_open(const PfPipelineConfig *config, PfPipeline **out, PfError *err);

/* Runs the samples through, once. stats is added to, on failure too, so that several runs may have
 * one; its depth is this run's. Unless the sink fails it is given every batch that was computed,
 * also before a failure or an interrupt. */
int pf_pipeline_run(PfPipeline *pipeline, const PfPipelineNetwork *network,
                    const PfPipelineSink *sink, PfPipelineStats *stats, PfError *err);

/* Ends what is under way, whether it was run or not; *pipeline becomes NULL. */
void pf_pipeline_close(PfPipeline **pipeline);

#endif
