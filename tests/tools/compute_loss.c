/* A loss of raw arrays, so that another program can compute the same and compare.
 *
 * usage: compute_loss KIND LOSS ROWS OUTPUTS
 *   KIND: class, regression, multilabel    LOSS: as --loss has it, such as focal:2
 * stdin:  outputs (ROWS, OUTPUTS) f32; class: labels (ROWS) i32, weights (OUTPUTS) f32 of the
 *         classes; else targets (ROWS, OUTPUTS) f32
 * stdout: sum of the losses and of the weights f64; slopes (ROWS, OUTPUTS) f32 of the former */
#include <stdio.h>
#include <stdlib.h>

#include "train/features/target_kind.h"
#include "train/features/task.h"

static void read_into(void *values, size_t count)
{
    if (fread(values, sizeof(float), count, stdin) == count) return;
    fprintf(stderr, "compute_loss: stdin is too short\n");
    exit(1);
}

int main(int argc, char **argv)
{
    PfTargetKind kind;
    PfTask task;
    PfTaskTruth truth = {0};
    PfTaskSum sum = {0};
    PfError err = {0};
    const float one = 1;
    if (argc != 5 || pf_target_kind_from_name(argv[1], &kind)) return 2;
    int rows = atoi(argv[3]), outputs = atoi(argv[4]);
    size_t count = (size_t)rows * (size_t)outputs;
    float *values = calloc(count, sizeof *values);
    int32_t *order = calloc((size_t)rows, sizeof *order);
    if (!values || !order || pf_task_init(&task, "it", kind, outputs, rows, &err) ||
        pf_loss_parse("LOSS", argv[2], &task.loss, &task.loss_parameter, &err))
        return 1;
    if (!pf_loss_serves(task.loss, kind)) return 2;
    read_into(values, count);
    if (pf_task_class_count(&task)) {
        task.class_weights = calloc((size_t)outputs, sizeof *task.class_weights);
        read_into(task.labels, (size_t)rows);
        read_into(task.class_weights, (size_t)outputs);
    } else {
        read_into(task.values, count);
    }
    for (int i = 0; i < rows; i++) order[i] = i;
    PfTaskColumns columns = {
        .outputs = values, .stride = outputs, .head_stride = outputs, .heads = 1, .scale = &one};
    if (pf_task_gather(&task, order, rows, &truth, &err)) return 1;
    pf_task_losses(&task, &truth, &columns, &sum, 1);
    fwrite(&sum.loss, sizeof sum.loss, 1, stdout);
    fwrite(&sum.weight, sizeof sum.weight, 1, stdout);
    fwrite(values, sizeof *values, count, stdout);
    pf_task_truth_free(&truth);
    pf_task_free(&task);
    free(values);
    free(order);
    return 0;
}
