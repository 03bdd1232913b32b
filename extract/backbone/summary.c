#include "extract/backbone/summary.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/arch/ops.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/options.h"
#include "common/base/printable.h"

#define MAX_DEPTH 8
#define LAYER_WIDTH 40
#define SHAPE_WIDTH 22
#define PARAM_WIDTH 15
#define MACS_WIDTH 17
#define RULE_WIDTH 116
#define FOLDED_INDENT 6

/* What a run over the nodes needs to draw the tree. */
typedef struct Table {
    const PfArch *arch;
    const PfShape *shapes;
    const unsigned char *shown; /* nodes on the way to the cut */
    int last;
    bool frozen;
    FILE *stream;
    int columns; /* of the terminal; RULE_WIDTH where it is wider, or none */
    char open[MAX_DEPTH][PF_NODE_NAME_SIZE]; /* module path of the open container at each depth */
    int counters[MAX_DEPTH + 1];
    PfSummaryTotals totals;
} Table;

/* 1234567 -> "1,234,567". */
static const char *grouped(int64_t value, char text[32])
{
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%lld", (long long)value), out = 0;
    for (int i = 0; i < length; i++) {
        if (i && (length - i) % 3 == 0) text[out++] = ',';
        text[out++] = digits[i];
    }
    text[out] = '\0';
    return text;
}

/* torchinfo writes the batch axis and spaces: [1, 64, 112, 112]. */
static const char *shape_text(PfShape shape, char *text, size_t size)
{
    int used = snprintf(text, size, "[1");
    for (int i = 0; i < shape.rank; i++)
        used += snprintf(text + used, size - (size_t)used, ", %lld", (long long)shape.dims[i]);
    snprintf(text + used, size - (size_t)used, "]");
    return text;
}

static void rule(const Table *table)
{
    for (int i = 0; i < table->columns; i++) fputc('=', table->stream);
    fputc('\n', table->stream);
}

/* Only people's terminals are narrow: whoever reads a file or a pipe knows the table as it is. */
static int columns_of(FILE *stream)
{
    int columns = stream && isatty(fileno(stream)) ? pf_log_columns(fileno(stream)) : RULE_WIDTH;
    return columns < RULE_WIDTH ? columns : RULE_WIDTH;
}

/* What stands behind the layer, below it, in as many lines as it takes. */
static void print_below(const Table *table, const char *const fields[4])
{
    int used = 0;
    for (int i = 0; i < 4; i++) {
        int length = (int)strlen(fields[i]);
        bool is_full = used + 2 + length > table->columns;
        if (!length) continue;
        if (used && is_full) pf_print(table->stream, "\n");
        int indent = !used || is_full ? FOLDED_INDENT : 2;
        pf_print(table->stream, "%*s%s", indent, "", fields[i]);
        used = (is_full ? 0 : used) + indent + length;
    }
    pf_print(table->stream, "\n");
}

/* Columns behind a layer's name, or its label; in a narrow terminal below it. */
static void print_fields(const Table *table, int label_width, const char *label,
                         const char *const fields[4])
{
    if (table->columns < RULE_WIDTH) {
        pf_print(table->stream, "%s\n", label);
        print_below(table, fields);
        return;
    }
    pf_print(table->stream, "%-*s %-*s %-*s ", label_width, label, SHAPE_WIDTH, fields[0],
             PARAM_WIDTH, fields[1]);
    if (*fields[3])
        pf_print(table->stream, "%-*s %s\n", MACS_WIDTH, fields[2], fields[3]);
    else
        pf_print(table->stream, "%s\n", fields[2]);
}

/* Columns right of the tree. The tree's lines take three bytes each in UTF-8
 * but one column. */
static void print_row(Table *table, int depth, const char *class_name, const PfShape *shape,
                      const char *parameters, const char *macs, const char *tap)
{
    if (!table->stream) return;
    char label[96], dims[64];
    int columns = 0;
    for (int i = 1; i < depth; i++, columns += 5) fputs("│    ", table->stream);
    if (depth) {
        fputs(depth == 1 ? "├─" : "└─", table->stream);
        columns += 2;
        snprintf(label, sizeof label, "%s: %d-%d", class_name, depth, ++table->counters[depth]);
    } else {
        snprintf(label, sizeof label, "%s", class_name);
    }
    const char *const fields[] = {shape ? shape_text(*shape, dims, sizeof dims) : "--", parameters,
                                  macs, tap};
    print_fields(table, LAYER_WIDTH - columns, label, fields);
}

/* Length of the first `parts` parts of a dotted path, 0 where it has fewer. */
static size_t prefix_length(const char *path, int parts)
{
    size_t i = 0;
    for (; path[i]; i++)
        if (path[i] == '.' && --parts == 0) return i;
    return parts == 1 ? i : 0;
}

/* Numbered children make a Sequential; the others are the family's blocks. */
static const char *container_class(const PfArch *arch, const char *child)
{
    if (isdigit((unsigned char)*child) || !arch->block_class) return "Sequential";
    return arch->block_class;
}

/* The last shown node under a module: its output is the module's. */
static int last_under(const Table *table, const char *module, size_t length)
{
    int last = 0;
    for (int i = 0; i <= table->last; i++)
        if (table->shown[i] && !strncmp(table->arch->nodes[i].name, module, length) &&
            table->arch->nodes[i].name[length] == '.')
            last = i;
    return last;
}

/* Opens the containers that the node's module lies in, and returns its depth. */
static int enter_containers(Table *table, const char *module)
{
    int depth = 1;
    for (; depth < MAX_DEPTH; depth++) {
        size_t length = prefix_length(module, depth);
        if (!length || !module[length]) return depth;
        char *open = table->open[depth];
        if (!strncmp(open, module, length) && !open[length]) continue;
        for (int i = depth; i < MAX_DEPTH; i++) table->open[i][0] = '\0';
        memcpy(open, module, length);
        open[length] = '\0';
        print_row(table, depth, container_class(table->arch, module + length + 1),
                  &table->shapes[last_under(table, module, length)], "--", "--", open);
    }
    return depth;
}

/* Whether a module that has such a child computes with its linear layers' weights, and does not
 * call them: MultiheadAttention, and Swin's attention in windows. */
static bool is_of_attention(const char *child)
{
    return !strcmp(child, ".in_proj_") || !strcmp(child, ".relative_position_bias_table");
}

/* Whether torchinfo counts anything for the node: it counts weights and biases of modules that are
 * called. A parameter of another name (cls_token, layer_scale) is none. */
static bool is_counted(const PfArch *arch, const PfNode *node)
{
    const char *dot = strrchr(node->module, '.');
    if (node->op == PF_OP_PARAMETER || node->op == PF_OP_POSITIONS ||
        node->op == PF_OP_WINDOW_ATTENTION)
        return false;
    if (node->op != PF_OP_LINEAR || !dot) return true;
    const size_t length = (size_t)(dot - node->module);
    for (int i = 0; i < arch->node_count; i++) {
        const char *other = arch->nodes[i].module;
        if (!strncmp(other, node->module, length) && is_of_attention(other + length)) return false;
    }
    return true;
}

/* Outputs are those of counted layers with parameters, once forward and once backward, as torchinfo
 * has them. */
static void count_layer(Table *table, int64_t parameters, int64_t macs, const PfShape *output,
                        bool trainable)
{
    table->totals.parameters += parameters;
    table->totals.trainable += trainable ? parameters : 0;
    table->totals.multiply_adds += macs;
    if (macs) table->totals.activation_bytes += 2 * 4 * pf_shape_count(output);
}

static void add_layer(Table *table, int depth, const char *class_name, int64_t parameters,
                      int64_t macs, const PfShape *output, bool trainable, const char *tap)
{
    char count[32], text[40] = "--", cost[32] = "--";
    count_layer(table, parameters, macs, output, trainable);
    if (parameters) {
        snprintf(text, sizeof text, trainable ? "%s" : "(%s)", grouped(parameters, count));
        if (macs) grouped(macs, cost);
    }
    print_row(table, depth, class_name, output, text, cost, tap);
}

static void add_node(Table *table, int index)
{
    const PfNode *node = &table->arch->nodes[index];
    if (!node->module[0]) return; /* sums and flatten are no modules */
    int depth = enter_containers(table, node->module);
    int64_t parameters = pf_node_parameter_count(node);
    int64_t macs = 0; /* of a layer that is counted, at least as many as its parameters */
    if (parameters && is_counted(table->arch, node))
        macs = pf_node_multiply_adds(node, &table->shapes[index]);
    const char *class_name = pf_op_class_name(node->op);
    if (!*class_name) class_name = pf_op_row(node->op)->name;
    add_layer(table, depth, class_name, parameters, macs, &table->shapes[index], !table->frozen,
              node->name);
}

static void add_new_linear(Table *table, int classes)
{
    int64_t features = pf_shape_count(&table->shapes[table->last]);
    int64_t parameters = features * classes + classes;
    PfShape output = {1, {classes}};
    add_layer(table, 1, "Linear", parameters, parameters, &output, true, "(new head)");
}

static void print_totals(const Table *table)
{
    const PfSummaryTotals *totals = &table->totals;
    char text[32];
    rule(table);
    pf_print(table->stream, "Total params: %s\n", grouped(totals->parameters, text));
    pf_print(table->stream, "Trainable params: %s\n", grouped(totals->trainable, text));
    pf_print(table->stream, "Non-trainable params: %s\n",
             grouped(totals->parameters - totals->trainable, text));
    if (totals->multiply_adds >= 1000000000)
        pf_print(table->stream, "Total mult-adds (G): %.2f\n", (double)totals->multiply_adds / 1e9);
    else
        pf_print(table->stream, "Total mult-adds (M): %.2f\n", (double)totals->multiply_adds / 1e6);
    rule(table);
    int64_t all = totals->input_bytes + totals->activation_bytes + totals->parameter_bytes;
    pf_print(table->stream, "Input size (MB): %.2f\n", (double)totals->input_bytes / 1e6);
    pf_print(table->stream, "Forward/backward pass size (MB): %.2f\n",
             (double)totals->activation_bytes / 1e6);
    pf_print(table->stream, "Params size (MB): %.2f\n", (double)totals->parameter_bytes / 1e6);
    pf_print(table->stream, "Estimated Total Size (MB): %.2f\n", (double)all / 1e6);
    rule(table);
}

static void fill_table(Table *table, const PfSummaryOptions *options)
{
    PfShape output =
        options->classes ? (PfShape){1, {options->classes}} : table->shapes[table->last];
    if (table->stream) {
        rule(table);
        static const char *const titles[] = {"Output Shape", "Param #", "Mult-Adds", "Tap"};
        print_fields(table, LAYER_WIDTH, "Layer (type:depth-idx)", titles);
        rule(table);
    }
    print_row(table, 0, table->arch->family, &output, "--", "--", "");
    for (int i = 1; i <= table->last; i++)
        if (table->shown[i]) add_node(table, i);
    if (options->classes) add_new_linear(table, options->classes);
    table->totals.input_bytes = 4 * pf_shape_count(&table->shapes[0]);
    table->totals.parameter_bytes = 4 * table->totals.parameters;
    if (table->stream) print_totals(table);
}

/* Marks what feeds the outputs, of which the last one ends the table. */
static int mark_outputs(const PfArch *arch, const char *outputs, unsigned char *shown, int *last,
                        PfError *err)
{
    char **names;
    int count;
    if (pf_options_split_list(outputs, &names, &count, err)) return -1;
    int failed = pf_arch_mark_taps(arch, (const char *const *)names, count, shown, last, err);
    pf_options_free_list(&names, &count);
    return failed;
}

static int mark_shown(Table *table, const char *tap, const char *outputs, unsigned char *shown,
                      PfError *err)
{
    if (!tap && outputs) return mark_outputs(table->arch, outputs, shown, &table->last, err);
    if (tap && pf_arch_find_tap(table->arch, tap, &table->last, err)) return -1;
    pf_arch_mark_needed(table->arch, table->last, shown);
    return 0;
}

int pf_summary_print(const PfArch *arch, const PfSummaryOptions *options, FILE *stream,
                     PfSummaryTotals *totals, PfError *err)
{
    int side = options->input ? options->input : arch->preprocess.crop;
    const char *tap = options->tap ? options->tap : options->classes ? arch->default_tap : NULL;
    PfShape *shapes = pf_calloc((size_t)arch->node_count, sizeof *shapes, err);
    unsigned char *shown = pf_calloc((size_t)arch->node_count, 1, err);
    Table table = {.arch = arch,
                   .shapes = shapes,
                   .shown = shown,
                   .stream = stream,
                   .columns = columns_of(stream),
                   .last = arch->node_count - 1,
                   .frozen = tap != NULL};
    int failed = !shapes || !shown || mark_shown(&table, tap, options->outputs, shown, err) ||
                 pf_arch_infer_shapes(arch, side, side, shapes, err);
    if (!failed) {
        fill_table(&table, options);
        if (totals) *totals = table.totals;
    }
    free(shapes);
    free(shown);
    return failed ? -1 : 0;
}
