#include "train/report/event_file.h"

#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/file/atomic_file.h"
#include "common/file/input_file.h"

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };
enum { EVENT_WALL_TIME = 1, EVENT_STEP = 2, EVENT_VERSION = 3, EVENT_SUMMARY = 5 };
enum { SUMMARY_VALUE = 1, VALUE_TAG = 1, VALUE_NUMBER = 2, VALUE_IMAGE = 4 };
#define NAME "events.out.tfevents.0.permafrost"
#define VERSION "brain.Event:2"
/* Of the first record: its length and the sum of that, a key and the time, the key and the length
 * of the version. */
#define VERSION_OFFSET (8 + 4 + 9 + 2)

enum { IMAGE_HEIGHT = 1, IMAGE_WIDTH = 2, IMAGE_COLOURS = 3, IMAGE_BYTES = 4 };

/* ---- messages ---- */

static void put(PfMessage *message, const void *bytes, size_t size)
{
    if (message->failed ||
        pf_grow(&message->bytes, &message->capacity, message->size + size, 1, NULL)) {
        message->failed = 1;
        return;
    }
    if (size) memcpy(message->bytes + message->size, bytes, size);
    message->size += size;
}

static void put_little_endian(PfMessage *message, uint64_t value, int width)
{
    uint8_t bytes[8];
    for (int i = 0; i < width; i++) bytes[i] = (uint8_t)(value >> 8 * i);
    put(message, bytes, (size_t)width);
}

static void put_varint(PfMessage *message, uint64_t value)
{
    for (; value >= 128; value >>= 7) put(message, &(uint8_t){(uint8_t)(value | 128)}, 1);
    put(message, &(uint8_t){(uint8_t)value}, 1);
}

static void put_key(PfMessage *message, int field, int type)
{
    put_varint(message, (uint64_t)field << 3 | (uint64_t)type);
}

void pf_message_free(PfMessage *message)
{
    free(message->bytes);
    *message = (PfMessage){0};
}

void pf_message_put_bytes(PfMessage *message, int field, const void *bytes, size_t size)
{
    put_key(message, field, BYTES);
    put_varint(message, size);
    put(message, bytes, size);
}

void pf_message_put_text(PfMessage *message, int field, const char *text)
{
    pf_message_put_bytes(message, field, text, strlen(text));
}

void pf_message_put_double(PfMessage *message, int field, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_key(message, field, FIXED64);
    put_little_endian(message, bits, 8);
}

void pf_message_put_float(PfMessage *message, int field, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_key(message, field, FIXED32);
    put_little_endian(message, bits, 4);
}

void pf_message_put_int(PfMessage *message, int field, int64_t value)
{
    put_key(message, field, VARINT);
    put_varint(message, (uint64_t)value);
}

void pf_message_put_message(PfMessage *message, int field, PfMessage *part)
{
    pf_message_put_bytes(message, field, part->bytes, part->size);
    message->failed |= part->failed;
    pf_message_free(part);
}

/* ---- records ---- */

uint32_t pf_event_file_crc32c(const void *bytes, size_t size)
{
    const uint8_t *byte = bytes;
    uint32_t crc = ~0u;
    for (size_t i = 0; i < size; i++) {
        crc ^= byte[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

static uint32_t masked(const void *bytes, size_t size)
{
    uint32_t crc = pf_event_file_crc32c(bytes, size);
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

static void put_record(PfMessage *records, PfMessage *event)
{
    size_t start = records->size;
    put_little_endian(records, event->size, 8);
    if (!records->failed) put_little_endian(records, masked(records->bytes + start, 8), 4);
    put(records, event->bytes, event->size);
    put_little_endian(records, masked(event->bytes, event->size), 4);
    records->failed |= event->failed;
    pf_message_free(event);
}

void pf_event_file_add(PfEventFile *file, int64_t step, PfMessage *value)
{
    PfMessage summary = {0}, event = {0};
    if (!file->records.size) { /* the first event says what the file is */
        pf_message_put_double(&event, EVENT_WALL_TIME, file->wall_time);
        pf_message_put_text(&event, EVENT_VERSION, VERSION);
        put_record(&file->records, &event);
    }
    pf_message_put_message(&summary, SUMMARY_VALUE, value);
    pf_message_put_double(&event, EVENT_WALL_TIME, file->wall_time);
    pf_message_put_int(&event, EVENT_STEP, step);
    pf_message_put_message(&event, EVENT_SUMMARY, &summary);
    put_record(&file->records, &event);
}

void pf_event_file_add_scalar(PfEventFile *file, int64_t step, const char *tag, double value)
{
    PfMessage message = {0};
    if (isnan(value)) return;
    pf_message_put_text(&message, VALUE_TAG, tag);
    pf_message_put_float(&message, VALUE_NUMBER, (float)value);
    pf_event_file_add(file, step, &message);
}

void pf_event_file_add_image(PfEventFile *file, int64_t step, const char *tag, int width,
                             int height, const void *jpeg, size_t size)
{
    PfMessage message = {0}, image = {0};
    pf_message_put_int(&image, IMAGE_HEIGHT, height);
    pf_message_put_int(&image, IMAGE_WIDTH, width);
    pf_message_put_int(&image, IMAGE_COLOURS, 3);
    pf_message_put_bytes(&image, IMAGE_BYTES, jpeg, size);
    pf_message_put_text(&message, VALUE_TAG, tag);
    pf_message_put_message(&message, VALUE_IMAGE, &image);
    pf_event_file_add(file, step, &message);
}

int pf_event_file_write(PfEventFile *file, const char *folder, PfError *err)
{
    char *path = NULL;
    size_t length = strlen(folder);
    int failed =
        file->records.failed ? pf_fail(err, PF_EXIT_FAILED, "out of memory for events") : 0;
    if (!failed) failed = !(path = pf_calloc(length + sizeof "/" NAME, 1, err));
    if (!failed) {
        strcpy(stpcpy(path, folder), "/" NAME);
        failed = pf_atomic_file_write(path, file->records.bytes, file->records.size, err);
    }
    free(path);
    pf_message_free(&file->records);
    return failed ? -1 : 0;
}

static bool is_event_file(const char *path)
{
    static const char version[] = VERSION;
    char begin[VERSION_OFFSET + sizeof version - 1];
    struct stat status;
    int fd = pf_input_file_try(AT_FDCWD, path, &status);
    if (fd < 0) return false;
    ssize_t size = read(fd, begin, sizeof begin);
    close(fd);
    return size == (ssize_t)sizeof begin &&
           !memcmp(begin + VERSION_OFFSET, version, sizeof version - 1);
}

void pf_event_file_remove(const char *folder)
{
    char *path = pf_calloc(strlen(folder) + sizeof "/" NAME, 1, NULL);
    if (!path) return;
    strcpy(stpcpy(path, folder), "/" NAME);
    if (is_event_file(path)) unlink(path);
    free(path);
}
