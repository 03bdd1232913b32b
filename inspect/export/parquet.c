#include "inspect/export/parquet.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

/* Types of Parquet, and of Thrift's compact protocol. */
enum { INT32 = 1, FLOAT = 4, BYTE_ARRAY = 6, REQUIRED = 0, REPEATED = 2, UTF8 = 0 };
enum { PLAIN = 0, RLE = 3 };
enum { T_I32 = 5, T_I64 = 6, T_BINARY = 8, T_LIST = 9, T_STRUCT = 12 };

typedef struct Bytes {
    uint8_t *bytes;
    size_t size, capacity;
    int failed;
    int field; /* of the struct that is being written, the last */
} Bytes;

typedef struct Chunk {
    int64_t offset, size, values;
} Chunk;

struct PfParquet {
    FILE *stream;
    int64_t offset, rows;
    PfParquetColumn *columns; /* (column_count) names and kinds */
    int column_count;
    Chunk *chunks; /* (group_count, column_count) */
    int64_t *group_rows;
    size_t group_count, chunk_capacity, group_capacity;
    Bytes page; /* kept from one page to the next */
};

/* ---- Thrift ---- */

static void put(Bytes *to, const void *bytes, size_t size)
{
    if (to->failed || pf_grow(&to->bytes, &to->capacity, to->size + size, 1, NULL)) {
        to->failed = 1;
        return;
    }
    if (size) memcpy(to->bytes + to->size, bytes, size);
    to->size += size;
}

static void put_byte(Bytes *to, int byte)
{
    put(to, &(uint8_t){(uint8_t)byte}, 1);
}

static void put_varint(Bytes *to, uint64_t value)
{
    for (; value >= 128; value >>= 7) put_byte(to, (int)(value & 127) | 128);
    put_byte(to, (int)value);
}

static void put_zigzag(Bytes *to, int64_t value)
{
    put_varint(to, (uint64_t)value << 1 ^ (uint64_t)(value >> 63));
}

/* Fields come in ascending order, none more than 15 behind the one before. */
static void put_field(Bytes *to, int field, int type)
{
    put_byte(to, (field - to->field) << 4 | type);
    to->field = field;
}

static void put_int(Bytes *to, int field, int type, int64_t value)
{
    put_field(to, field, type);
    put_zigzag(to, value);
}

static void put_text(Bytes *to, const char *text)
{
    put_varint(to, strlen(text));
    put(to, text, strlen(text));
}

static void put_list(Bytes *to, int field, int type, int64_t count)
{
    put_field(to, field, T_LIST);
    if (count < 15) {
        put_byte(to, (int)count << 4 | type);
    } else {
        put_byte(to, 15 << 4 | type);
        put_varint(to, (uint64_t)count);
    }
}

/* Returns the field that the struct around it had come to, for end_struct. */
static int begin_struct(Bytes *to)
{
    int outer = to->field;
    to->field = 0;
    return outer;
}

static void end_struct(Bytes *to, int outer)
{
    put_byte(to, 0);
    to->field = outer;
}

/* ---- pages ---- */

static bool is_list(const PfParquetColumn *column)
{
    return column->kind == PF_PARQUET_VECTOR || column->kind == PF_PARQUET_LIST;
}

static void put_level_bytes(Bytes *to, const Bytes *levels)
{
    uint32_t size = (uint32_t)levels->size;
    put(to, &size, sizeof size); /* little-endian, as all that this is built for */
    put(to, levels->bytes, levels->size);
}

/* Of vectors: where each begins, and that every value is there. */
static void put_levels(Bytes *to, int64_t rows, int64_t width)
{
    Bytes levels = {0};
    for (int64_t i = 0; i < rows; i++) {
        put_varint(&levels, 1 << 1);
        put_byte(&levels, 0);
        if (width == 1) continue;
        put_varint(&levels, (uint64_t)(width - 1) << 1);
        put_byte(&levels, 1);
    }
    put_level_bytes(to, &levels);
    levels.size = 0;
    put_varint(&levels, (uint64_t)(rows * width) << 1);
    put_byte(&levels, 1);
    put_level_bytes(to, &levels);
    to->failed |= levels.failed;
    free(levels.bytes);
}

static void put_values(Bytes *to, const PfParquetColumn *column, int64_t rows)
{
    switch (column->kind) {
    case PF_PARQUET_INT: put(to, column->ints, (size_t)rows * sizeof(int32_t)); break;
    case PF_PARQUET_FLOAT: put(to, column->floats, (size_t)rows * sizeof(float)); break;
    case PF_PARQUET_LIST:
        put_levels(to, rows, column->width);
        put(to, column->ints, (size_t)(rows * column->width) * sizeof(int32_t));
        break;
    case PF_PARQUET_VECTOR:
        put_levels(to, rows, column->width);
        put(to, column->floats, (size_t)(rows * column->width) * sizeof(float));
        break;
    case PF_PARQUET_TEXT:
        for (int64_t i = 0; i < rows; i++) {
            uint32_t length = (uint32_t)strlen(column->texts[i]);
            put(to, &length, sizeof length);
            put(to, column->texts[i], length);
        }
    }
}

static void put_page_header(Bytes *to, int64_t size, int64_t values)
{
    int outer = begin_struct(to);
    put_int(to, 1, T_I32, 0); /* a data page */
    put_int(to, 2, T_I32, size);
    put_int(to, 3, T_I32, size);
    put_field(to, 5, T_STRUCT);
    int page = begin_struct(to);
    put_int(to, 1, T_I32, values);
    put_int(to, 2, T_I32, PLAIN);
    put_int(to, 3, T_I32, RLE);
    put_int(to, 4, T_I32, RLE);
    end_struct(to, page);
    end_struct(to, outer);
}

static void put_stream(PfParquet *parquet, const void *bytes, size_t size)
{
    fwrite(bytes, 1, size, parquet->stream);
    parquet->offset += (int64_t)size;
}

static int add_chunk(PfParquet *parquet, const PfParquetColumn *column, int64_t rows, Chunk *chunk,
                     PfError *err)
{
    Bytes header = {0}, *page = &parquet->page;
    page->size = 0;
    put_values(page, column, rows);
    chunk->offset = parquet->offset;
    chunk->values = is_list(column) ? rows * column->width : rows;
    put_page_header(&header, (int64_t)page->size, chunk->values);
    int failed = page->failed || header.failed || page->size > INT32_MAX
                     ? pf_fail(err, PF_EXIT_FAILED, "no memory for a column of Parquet")
                     : 0;
    if (!failed) {
        put_stream(parquet, header.bytes, header.size);
        put_stream(parquet, page->bytes, page->size);
        chunk->size = parquet->offset - chunk->offset;
    }
    free(header.bytes);
    return failed;
}

/* ---- the footer ---- */

static int type_of(const PfParquetColumn *column)
{
    switch (column->kind) {
    case PF_PARQUET_INT:
    case PF_PARQUET_LIST: return INT32;
    case PF_PARQUET_TEXT: return BYTE_ARRAY;
    default: return FLOAT;
    }
}

static void put_schema(Bytes *to, const PfParquet *parquet)
{
    put_list(to, 2, T_STRUCT, parquet->column_count + 1);
    int outer = begin_struct(to);
    put_field(to, 4, T_BINARY);
    put_text(to, "schema");
    put_int(to, 5, T_I32, parquet->column_count);
    end_struct(to, outer);
    for (int c = 0; c < parquet->column_count; c++) {
        const PfParquetColumn *column = &parquet->columns[c];
        outer = begin_struct(to);
        put_int(to, 1, T_I32, type_of(column));
        put_int(to, 3, T_I32, is_list(column) ? REPEATED : REQUIRED);
        put_field(to, 4, T_BINARY);
        put_text(to, column->name);
        if (column->kind == PF_PARQUET_TEXT) put_int(to, 6, T_I32, UTF8);
        end_struct(to, outer);
    }
}

static void put_chunk(Bytes *to, const PfParquetColumn *column, const Chunk *chunk)
{
    int outer = begin_struct(to);
    put_int(to, 2, T_I64, chunk->offset);
    put_field(to, 3, T_STRUCT);
    int inner = begin_struct(to);
    put_int(to, 1, T_I32, type_of(column));
    put_list(to, 2, T_I32, 2);
    put_zigzag(to, PLAIN);
    put_zigzag(to, RLE);
    put_list(to, 3, T_BINARY, 1);
    put_text(to, column->name);
    put_int(to, 4, T_I32, 0); /* uncompressed */
    put_int(to, 5, T_I64, chunk->values);
    put_int(to, 6, T_I64, chunk->size);
    put_int(to, 7, T_I64, chunk->size);
    put_int(to, 9, T_I64, chunk->offset);
    end_struct(to, inner);
    end_struct(to, outer);
}

static void put_footer(Bytes *to, const PfParquet *parquet)
{
    int outer = begin_struct(to);
    put_int(to, 1, T_I32, 1);
    put_schema(to, parquet);
    put_int(to, 3, T_I64, parquet->rows);
    put_list(to, 4, T_STRUCT, (int64_t)parquet->group_count);
    for (size_t g = 0; g < parquet->group_count; g++) {
        const Chunk *chunks = parquet->chunks + g * (size_t)parquet->column_count;
        int64_t size = 0;
        int inner = begin_struct(to);
        put_list(to, 1, T_STRUCT, parquet->column_count);
        for (int c = 0; c < parquet->column_count; c++) {
            put_chunk(to, &parquet->columns[c], &chunks[c]);
            size += chunks[c].size;
        }
        put_int(to, 2, T_I64, size);
        put_int(to, 3, T_I64, parquet->group_rows[g]);
        end_struct(to, inner);
    }
    put_field(to, 6, T_BINARY);
    put_text(to, "permafrost version " PF_VERSION);
    end_struct(to, outer);
}

/* ---- all of it ---- */

int pf_parquet_begin(FILE *stream, const PfParquetColumn *columns, int column_count,
                     PfParquet **out, PfError *err)
{
    PfParquet *parquet = *out = pf_calloc(1, sizeof *parquet, err);
    if (!parquet) return -1;
    parquet->stream = stream;
    parquet->column_count = column_count;
    parquet->columns = pf_calloc((size_t)column_count, sizeof *columns, err);
    if (!parquet->columns) {
        free(parquet);
        *out = NULL;
        return -1;
    }
    memcpy(parquet->columns, columns, (size_t)column_count * sizeof *columns);
    put_stream(parquet, "PAR1", 4);
    return 0;
}

int pf_parquet_add(PfParquet *parquet, const PfParquetColumn *columns, int64_t rows, PfError *err)
{
    size_t group = parquet->group_count, count = (size_t)parquet->column_count;
    if (pf_grow(&parquet->chunks, &parquet->chunk_capacity, (group + 1) * count,
                sizeof *parquet->chunks, err) ||
        pf_grow(&parquet->group_rows, &parquet->group_capacity, group + 1,
                sizeof *parquet->group_rows, err))
        return -1;
    for (size_t c = 0; c < count; c++)
        if (add_chunk(parquet, &columns[c], rows, &parquet->chunks[group * count + c], err))
            return -1;
    parquet->group_rows[group] = rows;
    parquet->group_count++;
    parquet->rows += rows;
    return 0;
}

int pf_parquet_finish(PfParquet **out, PfError *err)
{
    PfParquet *parquet = *out;
    Bytes footer = {0};
    if (!parquet) return 0;
    put_footer(&footer, parquet);
    uint32_t size = (uint32_t)footer.size;
    put_stream(parquet, footer.bytes, footer.size);
    put_stream(parquet, &size, sizeof size);
    put_stream(parquet, "PAR1", 4);
    int failed = footer.failed ? pf_fail(err, PF_EXIT_FAILED, "out of memory for Parquet") : 0;
    free(footer.bytes);
    free(parquet->page.bytes);
    free(parquet->chunks);
    free(parquet->group_rows);
    free(parquet->columns);
    free(parquet);
    *out = NULL;
    return failed;
}
