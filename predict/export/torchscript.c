/* A model as one TorchScript module: the plugin writes it, the head's source comes from here. */
#include <stdio.h>
#include <stdlib.h>

#include "common/backbone/loader.h"
#include "common/base/memory.h"
#include "predict/export/export.h"
#include "train/head/head_layer.h"

/* "name" as a string literal. */
static void write_literal(FILE *out, const char *text)
{
    fputc('"', out);
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c == '"' || *c == '\\' || *c < ' ' || *c == 127)
            fprintf(out, "\\%03o", *c);
        else
            fputc(*c, out);
    }
    fputc('"', out);
}

static void write_hidden(FILE *out, const PfHeadSpec *spec, int number)
{
    fprintf(out, "    x = torch.linear(x, self.hidden%d.weight, self.hidden%d.bias)\n", number,
            number);
    if (spec->norm == PF_HEAD_NORM_LAYER)
        fprintf(out,
                "    x = torch.layer_norm(x, [%d], self.norm%d.weight, self.norm%d.bias, %.9g)\n",
                spec->hidden[number], number, number, (double)PF_NORM_EPSILON);
    fprintf(out, "    x = torch.%s(x)\n", spec->activation == PF_GELU ? "gelu" : "relu");
}

static void write_target(FILE *out, const PfScorerTarget *target, int number)
{
    fprintf(out, "    y%d = torch.linear(x, self.target%d.weight, self.target%d.bias)\n", number,
            number, number);
    if (target->kind == PF_TARGET_CLASS)
        fprintf(out, "    y%d = torch.softmax(y%d, 1)\n", number, number);
    if (target->kind == PF_TARGET_MULTILABEL)
        fprintf(out, "    y%d = torch.sigmoid(y%d)\n", number, number);
}

static void write_result(FILE *out, const PfScorer *scorer)
{
    if (scorer->target_count == 1) {
        fputs("    return y0\n", out);
        return;
    }
    fputs("    return {", out);
    for (int t = 0; t < scorer->target_count; t++) {
        if (t) fputs(", ", out);
        write_literal(out, scorer->targets[t].name);
        fprintf(out, ": y%d", t);
    }
    fputs("}\n", out);
}

/* def head(self, x: Tensor), on rows of features. */
static void write_source(FILE *out, const PfScorer *scorer)
{
    const PfHeadSpec *spec = &scorer->network->spec;
    fprintf(out, "def head(self, x: Tensor) -> %s:\n",
            scorer->target_count == 1 ? "Tensor" : "Dict[str, Tensor]");
    if (scorer->unit_length) /* rows of zeros stay so */
        fputs("    x = x / torch.clamp_min(torch.norm(x, 2, [1], True), 1e-30)\n", out);
    for (int i = 0; i < spec->hidden_count; i++) write_hidden(out, spec, i);
    for (int t = 0; t < scorer->target_count; t++) write_target(out, &scorer->targets[t], t);
    write_result(out, scorer);
}

/* malloc'ed, or NULL. */
static char *head_source(const PfScorer *scorer, PfError *err)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (out) {
        write_source(out, scorer);
        if (!fclose(out)) return text;
        free(text);
    }
    pf_fail(err, PF_EXIT_FAILED, "out of memory for the source of a head");
    return NULL;
}

static int write_module(const PfExportSource *source, const PfExportHead *head, const char *text,
                        const char *path, PfError *err)
{
    const PfBackbonePlan *plan = source->plan;
    const PfScorer *scorer = source->scorer;
    const PfScorerTarget *only = scorer->target_count == 1 ? &scorer->targets[0] : NULL;
    const PfBackbonePlugin *plugin;
    PfExportConfig config = {
        .arch = plan->arch,
        .tensors = plan->tensors,
        .tensor_count = plan->tensor_count,
        .tap = scorer->tap,
        .head = text,
        .head_tensors = head->tensors,
        .head_tensor_count = head->count,
        .classes = only && only->classes ? (const char *const *)only->classes : NULL,
        .class_count = only && only->classes ? only->outputs : 0,
        .metadata = source->metadata.json,
    };
    if (pf_script_file_lend(plan->script, &config.torchscript, err) ||
        pf_backbone_loader_load(&plugin, err))
        return -1;
    if (!plugin->export_torchscript)
        return pf_fail(err, PF_EXIT_FAILED,
                       "the plugin that runs networks cannot write them as TorchScript. Hint: "
                       "-o FILE.onnx needs no plugin");
    return plugin->export_torchscript(&config, path, err);
}

int pf_export_torchscript(const PfExportSource *source, const char *path, PfError *err)
{
    PfExportHead head;
    if (pf_export_head_new(source->scorer, &head, err)) return -1;
    char *text = head_source(source->scorer, err);
    int failed = !text || write_module(source, &head, text, path, err);
    free(text);
    pf_export_head_free(&head);
    return failed ? -1 : 0;
}
