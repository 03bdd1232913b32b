#include "common/arch/script.h"

#include <ctype.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/arch/ops.h"
#include "common/arch/positions.h"
#include "common/base/memory.h"

typedef enum NumberKind { INTEGER, LONG, BOOLEAN, FLOAT, FRACTION } NumberKind;

/* The words that stand for numbers of a node. Exported files hold the source: another notation of
 * the same number would be other bytes. */
#define NUMBER(field, kind)                                                                        \
    {                                                                                              \
#field, offsetof(PfNode, field), kind                                                      \
    }
static const struct {
    const char *name;
    size_t offset; /* in PfNode */
    NumberKind kind;
} numbers[] = {
    NUMBER(groups, INTEGER),    NUMBER(pool_size, INTEGER),
    NUMBER(heads, INTEGER),     NUMBER(start, LONG),
    NUMBER(step, LONG),         NUMBER(out_channels, INTEGER),
    NUMBER(ceil_mode, BOOLEAN), NUMBER(count_padding, BOOLEAN),
    NUMBER(keep_axes, BOOLEAN), NUMBER(eps, FLOAT),
    NUMBER(dropout, FRACTION),  NUMBER(low, FLOAT),
    NUMBER(high, FLOAT),        NUMBER(value, FLOAT),
    NUMBER(scale, FLOAT),
};
#define NUMBER_COUNT (sizeof numbers / sizeof numbers[0])
#define WORD_SIZE 32

/* The part behind the next dot: "0.bn1" of "layer1.0.bn1". */
static const char *next_part(const char *path)
{
    path += strcspn(path, ".");
    return *path ? path + 1 : path;
}

/* Whether the first part of a path may stand after a dot: a number may not, nor "block4-0". */
static bool is_identifier(const char *path)
{
    if (isdigit((unsigned char)*path)) return false;
    while (isalnum((unsigned char)*path) || *path == '_') path++;
    return !*path || *path == '.';
}

/* "layer1.0.bn1" -> getattr(self.layer1, "0").bn1 */
static void write_module(const char *path, FILE *out)
{
    for (const char *part = path; *part; part = next_part(part))
        if (!is_identifier(part)) fputs("getattr(", out);
    fputs("self", out);
    for (const char *part = path; *part; part = next_part(part))
        fprintf(out, is_identifier(part) ? ".%.*s" : ", \"%.*s\")", (int)strcspn(part, "."), part);
}

/* The module of a parameter that has no name of its own, or whose module ends in "_", is what is
 * before the last dot. */
static void write_parameter(const PfNode *node, const PfOpParameter *parameter, FILE *out)
{
    char name[PF_PARAMETER_NAME_SIZE];
    if (!pf_node_has_parameter(node, parameter)) {
        fputs("None", out);
        return;
    }
    pf_node_parameter_name(node, parameter->name, name);
    write_module(name, out);
}

/* With a point or as a power, so that it is a float there, too. */
static void write_float(double number, FILE *out)
{
    char text[32];
    if (isinf(number)) {
        fputs(number < 0 ? "-float(\"inf\")" : "float(\"inf\")", out);
        return;
    }
    snprintf(text, sizeof text, "%.9g", number);
    fprintf(out, strpbrk(text, ".e") ? "%s" : "%s.0", text);
}

static bool write_number(const PfNode *node, const char *word, FILE *out)
{
    for (size_t i = 0; i < NUMBER_COUNT; i++) {
        const void *number = (const char *)node + numbers[i].offset;
        if (strcmp(numbers[i].name, word)) continue;
        switch (numbers[i].kind) {
        case INTEGER: fprintf(out, "%d", *(const int *)number); break;
        case LONG: fprintf(out, "%lld", (long long)*(const int64_t *)number); break;
        case BOOLEAN: fputs(*(const int *)number ? "True" : "False", out); break;
        case FLOAT: write_float((double)*(const float *)number, out); break;
        case FRACTION: fprintf(out, "%f", (double)*(const float *)number); break;
        }
        return true;
    }
    return false;
}

/* ---- words that stand for several numbers, or for one that is counted otherwise ---- */

static void write_ints(const int *ints, int count, int more, FILE *out)
{
    for (int i = 0; i < count; i++) fprintf(out, i ? ", %d" : "%d", ints[i] + more);
}

static void write_shape(const PfShape *shape, FILE *out)
{
    for (int i = 0; i < shape->rank; i++)
        fprintf(out, i ? ", %lld" : "%lld", (long long)shape->dims[i]);
}

static void write_inputs(const PfNode *node, FILE *out)
{
    for (int i = 0; i < node->input_count; i++) fprintf(out, i ? ", v%d" : "v%d", node->inputs[i]);
}

/* torch's pad names the last axis first. */
static void write_pads(const PfNode *node, FILE *out)
{
    fprintf(out, "%d, %d, %d, %d", node->pads[1], node->pads[3], node->pads[0], node->pads[2]);
}

/* As pf_node_pads counts them, along an axis of torch's. */
static void write_same_pads(const PfNode *node, int axis, FILE *out)
{
    const int kernel = node->kernel[axis - 2], stride = node->stride[axis - 2];
    char missing[200];
    snprintf(missing, sizeof missing,
             "max((torch.size(v%d, %d) + %d) // %d * %d + %d - torch.size(v%d, %d), 0)",
             node->inputs[0], axis, stride - 1, stride, stride, kernel - stride, node->inputs[0],
             axis);
    fprintf(out, "%s // 2, %s - %s // 2", missing, missing, missing);
}

/* Of a map (h, w, c), along an axis of torch's. */
static void write_behind_pads(const PfNode *node, int axis, FILE *out)
{
    const int kernel = node->kernel[axis - 1], map = node->inputs[0];
    fprintf(out, "0, (torch.size(v%d, %d) + %d) // %d * %d - torch.size(v%d, %d)", map, axis,
            kernel - 1, kernel, kernel, map, axis);
}

static void write_for_each_image(const PfNode *node, FILE *out)
{
    if (node->leading_one) fputs("torch.expand(", out);
    write_parameter(node, &pf_op_row(node->op)->parameters[0], out);
    if (!node->leading_one) return;
    fputs(", [torch.size(input, 0), ", out);
    write_shape(&node->shape, out);
    fputs("])", out);
}

/* The map's grid along an axis as a factor of the parameter's. */
static void write_factor(const PfNode *node, int axis, FILE *out)
{
    if (node->align_corners || node->antialias) {
        fputs("None", out);
        return;
    }
    fprintf(out, "(torch.size(v%d, %d) + ", node->inputs[0], axis);
    write_float((double)node->value, out);
    fprintf(out, ") / %lld", (long long)pf_positions_side(node));
}

/* The parameter as it is for a grid of its own size, else resized behind the first tokens. */
static void write_positions(const PfNode *node, FILE *out)
{
    const int map = node->inputs[0];
    const long long side = (long long)pf_positions_side(node), start = (long long)node->start;
    char name[PF_PARAMETER_NAME_SIZE], *text = NULL;
    size_t size;
    pf_node_parameter_name(node, "", name);
    FILE *parameter = open_memstream(&text, &size);
    if (parameter) {
        fputs(node->leading_one ? "" : "torch.unsqueeze(", parameter);
        write_module(name, parameter);
        fputs(node->leading_one ? "" : ", 0)", parameter);
        fclose(parameter);
    }
    const char *positions = text ? text : name;
    fprintf(out,
            "torch.expand(%s if (torch.size(v%d, 2) == %lld and torch.size(v%d, 3) == %lld) else "
            "torch.cat([torch.slice(%s, 1, 0, %lld), torch.transpose(torch.flatten("
            "torch.%s(torch.permute(torch.reshape(torch.slice(%s, 1, %lld), "
            "[1, %lld, %lld, -1]), [0, 3, 1, 2]), [torch.size(v%d, 2), torch.size(v%d, 3)], %s, ",
            positions, map, side, map, side, positions, start,
            node->antialias ? "_upsample_bicubic2d_aa" : "upsample_bicubic2d", positions, start,
            side, side, map, map, node->align_corners ? "True" : "False");
    write_factor(node, 2, out);
    fputs(", ", out);
    write_factor(node, 3, out);
    fputs("), 2), 1, 2)], 1), [torch.size(input, 0), -1, -1])", out);
    free(text);
}

static bool write_list(const PfNode *node, const char *word, FILE *out)
{
    if (!strcmp(word, "kernel"))
        write_ints(node->kernel, 2, 0, out);
    else if (!strcmp(word, "stride"))
        write_ints(node->stride, 2, 0, out);
    else if (!strcmp(word, "padding"))
        write_ints(node->padding, 2, 0, out);
    else if (!strcmp(word, "dilation"))
        write_ints(node->dilation, 2, 0, out);
    else if (!strcmp(word, "axis"))
        write_ints(&node->axis, 1, 1, out);
    else if (!strcmp(word, "axes"))
        write_ints(node->axes, node->axis_count, 1, out);
    else if (!strcmp(word, "shape"))
        write_shape(&node->shape, out);
    else if (!strcmp(word, "momentum"))
        fprintf(out, "%g", node->momentum > 0 ? (double)node->momentum : 0.1);
    else if (!strcmp(word, "pads"))
        write_pads(node, out);
    else if (!strcmp(word, "same_pads")) {
        write_same_pads(node, 3, out);
        fputs(", ", out);
        write_same_pads(node, 2, out);
    } else if (!strcmp(word, "window")) {
        write_ints(node->kernel, 1, 0, out);
    } else if (!strcmp(word, "behind_pads")) {
        fputs("0, 0, ", out);
        write_behind_pads(node, 2, out);
        fputs(", ", out);
        write_behind_pads(node, 1, out);
    } else if (!strcmp(word, "end") && node->count == PF_TO_THE_END)
        fprintf(out, "%lld", (long long)INT64_MAX);
    else if (!strcmp(word, "end"))
        fprintf(out, "%lld", (long long)(node->start + (node->count - 1) * node->step + 1));
    else
        return false;
    return true;
}

/* Whether it is one of the words. */
static bool write_word(const PfNode *node, const char *word, FILE *out)
{
    const PfOpParameter *parameter = *word ? pf_op_find_parameter(node->op, word) : NULL;
    int input = *word - '0';
    if (input >= 0 && input < node->input_count && !word[1])
        fprintf(out, "v%d", node->inputs[input]);
    else if (!strcmp(word, "inputs"))
        write_inputs(node, out);
    else if (!strcmp(word, "for_each_image"))
        write_for_each_image(node, out);
    else if (!strcmp(word, "positions"))
        write_positions(node, out);
    else if (!strcmp(word, "module"))
        write_module(node->module, out);
    else if (parameter)
        write_parameter(node, parameter, out);
    else
        return write_list(node, word, out) || write_number(node, word, out);
    return true;
}

int pf_arch_script_expression(const PfNode *node, const char *script, FILE *out, PfError *err)
{
    char word[WORD_SIZE];
    for (const char *c = script; *c; c++) {
        if (*c != '{') {
            fputc(*c, out);
            continue;
        }
        size_t length = strcspn(++c, "}");
        snprintf(word, sizeof word, "%.*s", (int)length, c);
        if (!c[length] || !write_word(node, word, out))
            return pf_fail(err, PF_EXIT_FAILED,
                           "the TorchScript of operation '%s' has a word that stands for nothing: "
                           "'%s'",
                           pf_op_row(node->op)->name, word);
        c += length;
    }
    return 0;
}

/* Tensors for what lies before start and has no value here, but a size that the node takes. */
static int write_sizes(const PfArch *arch, int start, int index, const PfShape *shapes, FILE *out,
                       PfError *err)
{
    const PfNode *node = &arch->nodes[index];
    for (int k = 0; k < node->input_count; k++) {
        const int input = node->inputs[k];
        if (input >= start || !pf_node_takes_size_alone(node, k)) continue;
        if (!shapes)
            return pf_fail(err, PF_EXIT_FAILED, "%s cannot begin at '%s' without the size of '%s'",
                           arch->name, arch->nodes[start].name, arch->nodes[input].name);
        fprintf(out, "    v%d = torch.empty([1, ", input);
        write_shape(&shapes[input], out);
        fputs("])\n", out);
    }
    return 0;
}

static int write_method(const PfArch *arch, const char *method, int start, const int *outputs,
                        int output_count, const PfShape *shapes, const unsigned char *needed,
                        FILE *out, PfError *err)
{
    fprintf(out, "def %s(self, input: Tensor) -> Tuple[", method);
    for (int i = 0; i < output_count; i++) fputs(i ? ", Tensor" : "Tensor", out);
    fprintf(out, "]:\n    v%d = input\n", start);
    for (int i = 0; i < arch->node_count; i++) {
        const PfNode *node = &arch->nodes[i];
        if (!needed[i]) continue;
        if (write_sizes(arch, start, i, shapes, out, err)) return -1;
        fprintf(out, "    v%d = ", i);
        if (pf_arch_script_expression(node, pf_op_row(node->op)->script, out, err)) return -1;
        fputc('\n', out);
    }
    fputs("    return (", out);
    for (int i = 0; i < output_count; i++) fprintf(out, "v%d,", outputs[i]);
    fputs(")\n", out);
    return 0;
}

char *pf_arch_script(const PfArch *arch, const char *method, int start, const int *outputs,
                     int output_count, const PfShape *shapes, PfError *err)
{
    char *text = NULL;
    size_t size;
    unsigned char *needed = pf_calloc((size_t)arch->node_count, 1, err);
    if (!needed) return NULL;
    int failed = pf_arch_mark_outputs(arch, start, outputs, output_count, needed, err);
    FILE *out = failed ? NULL : open_memstream(&text, &size);
    if (out) {
        failed = write_method(arch, method, start, outputs, output_count, shapes, needed, out, err);
        int is_short = ferror(out);
        if ((fclose(out) || is_short) && !failed)
            failed = pf_fail(err, PF_EXIT_FAILED, "out of memory for a network's source");
    } else if (!failed) {
        failed = pf_fail(err, PF_EXIT_FAILED, "out of memory for a network's source");
    }
    free(needed);
    if (!failed) return text;
    free(text);
    return NULL;
}
