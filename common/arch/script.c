#include "common/arch/script.h"

#include <ctype.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/arch/ops.h"
#include "common/base/memory.h"

/* The words that stand for numbers of a node. Exported files hold the source: another notation of
 * the same number would be other bytes. */
static const struct {
    const char *name;
    size_t offset;      /* in PfNode */
    const char *format; /* of a float; NULL: an int */
} numbers[] = {
    {"kernel", offsetof(PfNode, kernel), NULL},   {"stride", offsetof(PfNode, stride), NULL},
    {"padding", offsetof(PfNode, padding), NULL}, {"dilation", offsetof(PfNode, dilation), NULL},
    {"groups", offsetof(PfNode, groups), NULL},   {"pool_size", offsetof(PfNode, pool_size), NULL},
    {"eps", offsetof(PfNode, eps), "%.9g"},       {"dropout", offsetof(PfNode, dropout), "%f"},
};
#define NUMBER_COUNT (sizeof numbers / sizeof numbers[0])
#define WORD_SIZE 32

/* The part behind the next dot: "0.bn1" of "layer1.0.bn1". */
static const char *next_part(const char *path)
{
    path += strcspn(path, ".");
    return *path ? path + 1 : path;
}

/* "layer1.0.bn1" -> getattr(self.layer1, "0").bn1: after a dot a number would be no name. */
static void write_module(const char *path, FILE *out)
{
    for (const char *part = path; *part; part = next_part(part))
        if (isdigit((unsigned char)*part)) fputs("getattr(", out);
    fputs("self", out);
    for (const char *part = path; *part; part = next_part(part))
        fprintf(out, isdigit((unsigned char)*part) ? ", \"%.*s\")" : ".%.*s",
                (int)strcspn(part, "."), part);
}

static void write_parameter(const PfNode *node, const PfOpParameter *parameter, FILE *out)
{
    if (!pf_node_has_parameter(node, parameter)) {
        fputs("None", out);
        return;
    }
    write_module(node->module, out);
    fprintf(out, ".%s", parameter->name);
}

static bool write_number(const PfNode *node, const char *word, FILE *out)
{
    for (size_t i = 0; i < NUMBER_COUNT; i++) {
        const void *number = (const char *)node + numbers[i].offset;
        if (strcmp(numbers[i].name, word)) continue;
        if (numbers[i].format)
            fprintf(out, numbers[i].format, (double)*(const float *)number);
        else
            fprintf(out, "%d", *(const int *)number);
        return true;
    }
    return false;
}

/* Whether it is one of the words. */
static bool write_word(const PfNode *node, const char *word, FILE *out)
{
    const PfOpParameter *parameter = pf_op_find_parameter(node->op, word);
    int input = *word - '0';
    if (input >= 0 && input < node->input_count && !word[1])
        fprintf(out, "v%d", node->inputs[input]);
    else if (!strcmp(word, "module"))
        write_module(node->module, out);
    else if (parameter)
        write_parameter(node, parameter, out);
    else
        return write_number(node, word, out);
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

static int write_method(const PfArch *arch, const char *method, int start, const int *outputs,
                        int output_count, const unsigned char *needed, FILE *out, PfError *err)
{
    fprintf(out, "def %s(self, input: Tensor) -> Tuple[", method);
    for (int i = 0; i < output_count; i++) fputs(i ? ", Tensor" : "Tensor", out);
    fprintf(out, "]:\n    v%d = input\n", start);
    for (int i = 0; i < arch->node_count; i++) {
        const PfNode *node = &arch->nodes[i];
        if (!needed[i]) continue;
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
                     int output_count, PfError *err)
{
    char *text = NULL;
    size_t size;
    unsigned char *needed = pf_calloc((size_t)arch->node_count, 1, err);
    if (!needed) return NULL;
    int failed = pf_arch_mark_outputs(arch, start, outputs, output_count, needed, err);
    FILE *out = failed ? NULL : open_memstream(&text, &size);
    if (out) {
        failed = write_method(arch, method, start, outputs, output_count, needed, out, err);
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
