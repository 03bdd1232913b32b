/* Event files as TensorBoard reads them: records of TFRecord, each a protocol buffer `Event`.
 *
 * A record is its length (8 bytes, little-endian), the masked CRC-32C of those, the bytes, and
 * their masked CRC-32C (tensorflow/core/lib/io/record_writer.h). The messages are event.proto and
 * summary.proto of TensorBoard, of which so few fields are used that they are written by hand. */
#ifndef PF_TRAIN_REPORT_EVENT_FILE_H
#define PF_TRAIN_REPORT_EVENT_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "permafrost/error.h"

/* Bytes of a message that is being put together. Starts as {0}; memory that is short shows in
 * pf_event_file_write. */
typedef struct PfMessage {
    uint8_t *bytes;
    size_t size, capacity;
    int failed;
} PfMessage;

void pf_message_free(PfMessage *message);
void pf_message_put_bytes(PfMessage *message, int field, const void *bytes, size_t size);
void pf_message_put_text(PfMessage *message, int field, const char *text);
void pf_message_put_double(PfMessage *message, int field, double value);
void pf_message_put_float(PfMessage *message, int field, float value);
void pf_message_put_int(PfMessage *message, int field, int64_t value);
/* Frees the part. */
void pf_message_put_message(PfMessage *message, int field, PfMessage *part);

/* A file of events. Starts as {.wall_time}. */
typedef struct PfEventFile {
    PfMessage records;
    double wall_time; /* seconds since 1970, of every event */
} PfEventFile;

/* An event with one value of a Summary; frees the value. */
void pf_event_file_add(PfEventFile *file, int64_t step, PfMessage *value);
void pf_event_file_add_scalar(PfEventFile *file, int64_t step, const char *tag, double value);
/* jpeg: the encoded image. */
void pf_event_file_add_image(PfEventFile *file, int64_t step, const char *tag, int width,
                             int height, const void *jpeg, size_t size);

/* Writes folder/events.out.tfevents.0.permafrost, in place of one that is there, and frees. */
int pf_event_file_write(PfEventFile *file, const char *folder, PfError *err);

/* Removes that file of the folder, where its first record is as pf_event_file_add writes it. */
void pf_event_file_remove(const char *folder);

/* CRC-32C (Castagnoli), as RFC 3720 has it. */
uint32_t pf_event_file_crc32c(const void *bytes, size_t size);

#endif
