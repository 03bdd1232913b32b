/* Threads that read samples before they are asked for, so that a disk or a network mount which
 * answers late does not hold up decoding: opening a file takes a round trip there, and hints
 * (posix_fadvise) come after it. */
#ifndef PF_EXTRACT_DATASET_SAMPLE_READER_H
#define PF_EXTRACT_DATASET_SAMPLE_READER_H

#include "extract/dataset/dataset.h"

/* Unless asked otherwise. Of a mount with 10 ms for a file's opening and 10 ms for its bytes that
 * is 800 files a second; on a fast disk they are idle. */
#define PF_SAMPLE_READERS 16

typedef struct PfSampleReader PfSampleReader;

typedef struct PfSampleReaderConfig {
    const PfDataset *dataset;
    const int64_t *samples; /* (count) which of the dataset, in the order of places; NULL = all */
    int64_t count;
    int readers;          /* threads; 0: take() itself reads */
    int64_t largest_file; /* bytes; holds fewer where they are large; 0: not known */
} PfSampleReaderConfig;

/* How many files are held at most: four for each reader, so that a reader which gets no processor
 * for a while does not hold up decoding either; but no more than fill 64 MB, and one at least; none
 * of a dataset whose samples are no files. */
int pf_sample_reader_held(const PfSampleReaderConfig *config);

/* Starts reading. Threads that cannot be started are done without. The config is copied, what it
 * refers to is lent until close. */
int pf_sample_reader_open(const PfSampleReaderConfig *config, PfSampleReader **out, PfError *err);

/* What pf_dataset_read() would say of the sample at that place, waiting for it. Each place once, in
 * any order of calls, but all before a place are taken sooner or later. `bytes` is exchanged for
 * the reader's, so that buffers go round. Any thread. */
int pf_sample_reader_take(PfSampleReader *reader, int64_t place, PfSampleBytes *bytes,
                          PfError *err);

/* Once nobody waits in take(). Gives up what has not been taken. */
void pf_sample_reader_close(PfSampleReader **reader);

#endif
